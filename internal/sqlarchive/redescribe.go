package sqlarchive

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/internal/sqlarchive/segment"
)

// ruled is a Describer that tells by what it finds words.
type ruled interface {
	// Fingerprints returns for each service, the fourth word of a topic, a text that
	// changes when other words may be found for its messages. "" is for all that are not
	// named. The map is not changed.
	Fingerprints() map[string]string
}

// rules are the fingerprints of a Describer; nil if it tells none.
type rules map[string]string

// rules returns those that are in force.
func (a *Archive) rules() rules {
	if d, ok := a.cfg.Describer.(ruled); ok {
		return d.Fingerprints()
	}
	return nil
}

// of returns the fingerprint for a category.
func (r rules) of(category string) string {
	if print, ok := r[category]; ok {
		return print
	}
	return r[""]
}

// What a segment says of each category: by which rules the words of all its messages
// were found, or "" if by several; and while they are found anew, by which, and before
// which key they are yet to be.
const (
	foundBy   = "rules."
	findingBy = "revise."
)

// mark returns what a segment has to say after messages were added whose words were
// found by these rules, or newer ones.
func (a *Archive) mark(w *segment.Writer, drafts []*segment.Draft, by rules) (map[string]string, error) {
	said, seen := make(map[string]string), make(map[string]bool)
	for _, d := range drafts {
		category := segment.Category(d.Entry.Message.Topic)
		if seen[category] {
			continue
		}
		seen[category] = true
		print := by.of(category)
		if finding, _ := w.S.Said(findingBy + category); finding != "" && !strings.HasPrefix(finding, print+" ") {
			said[findingBy+category] = "" // from the beginning: it has passed these
		}
		found, known := w.S.Said(foundBy + category)
		if known && (found == print || found == "") || !known && by == nil {
			continue
		}
		if !known {
			n, err := w.Number("SELECT coalesce(max(n), 0) FROM {term} WHERE kind = ? AND name = ?", segment.CategoryKind, category)
			if err != nil {
				return nil, err
			}
			if n > 0 {
				print = "" // they are older than these marks
			}
		} else {
			print = ""
		}
		said[foundBy+category] = print
	}
	return said, w.Say(said)
}

// A task is to find anew the words of one category in one segment.
type task struct {
	in       *segment.Segment
	category segment.CategoryCount
	print    string // by these rules
	keep     bool   // how far it is
	before   int64  // only messages before this key are left
	left     int64
}

// tasks lists what is not found by these rules, the newest months first; everything if
// by is nil.
func (a *Archive) tasks(ctx context.Context, by rules) (list []*task, left int64, err error) {
	for _, s := range a.all() {
		v, err := a.view(ctx)
		if err != nil {
			return nil, 0, err
		}
		some, err := a.tasksIn(v, s, by)
		v.close()
		if err != nil {
			return nil, 0, fmt.Errorf("segment %s: %w", s.Month, unavailable(ctx, err))
		}
		for _, t := range some {
			left += t.left
		}
		list = append(list, some...)
	}
	return list, left, nil
}

func (a *Archive) tasksIn(v *view, s *segment.Segment, by rules) (list []*task, err error) {
	borrowed, err := v.session(s)
	if err != nil || borrowed == nil { // or the segment was removed
		return nil, err
	}
	p := segment.Part{Segment: s, Session: borrowed}
	all, err := p.Categories()
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		t := &task{in: s, category: c, print: by.of(c.Name), keep: by != nil, before: segment.MaxKey, left: c.N}
		if found, _ := s.Said(foundBy + c.Name); t.keep && found == t.print {
			continue
		}
		finding, _ := s.Said(findingBy + c.Name)
		if rest, ok := strings.CutPrefix(finding, t.print+" "); ok && t.keep {
			if key, err := strconv.ParseInt(rest, 10, 64); err == nil {
				t.before = key
			}
			if t.left, err = p.Left(c.Term, t.before); err != nil {
				return nil, err
			}
		}
		list = append(list, t)
	}
	return list, nil
}

// errOtherRules says that the rules changed while words were found by them.
var errOtherRules = errors.New("the rules have changed meanwhile")

// A pace says how fast words are found anew.
type pace struct {
	part    int // messages in a transaction
	workers int
	// rest is called after each transaction with how long it took; nil does not rest.
	rest func(took time.Duration)
}

// byHand is the pace of somebody who waits for it.
func byHand() pace { return pace{part: 500, workers: runtime.GOMAXPROCS(0)} }

// Redescribe finds anew what messages are found by that was found by other rules than
// those of the Describer now, the newest months first; of a Describer that does not tell
// its rules, of all messages. At every moment lists and counts are right, and who
// searches and who delivers is held up by little. Progress is told how many messages
// were looked at, of how many; it may be nil. It returns how many are found otherwise
// now. Ended early, it goes on where it was the next time.
func (a *Archive) Redescribe(ctx context.Context, progress func(done, total int64)) (changed int64, err error) {
	if !a.revising.TryLock() {
		return 0, fmt.Errorf("redescribe: it is under way: %w", fedmsg.ErrUnavailable)
	}
	defer a.revising.Unlock()
	list, total, err := a.tasks(ctx, a.rules())
	if err == nil {
		changed, err = a.work(ctx, list, byHand(), func(done int64) {
			if progress != nil {
				progress(done, max(done, total))
			}
		})
	}
	if err != nil {
		return changed, fmt.Errorf("redescribe: %w", err)
	}
	return changed, nil
}

// Forget has the next Redescribe find everything anew, by whichever rules it was found.
func (a *Archive) Forget(ctx context.Context) error {
	list, _, err := a.tasks(ctx, nil)
	for _, t := range list {
		if err == nil {
			err = a.say(ctx, t, map[string]string{foundBy + t.category.Name: "", findingBy + t.category.Name: ""})
		}
	}
	if err != nil {
		return fmt.Errorf("forget rules: %w", unavailable(ctx, err))
	}
	return nil
}

// Stale returns how many messages are not found by the rules of the Describer.
func (a *Archive) Stale(ctx context.Context) (int64, error) {
	by := a.rules()
	if by == nil {
		return 0, nil
	}
	_, left, err := a.tasks(ctx, by)
	return left, err
}

// work does tasks, one after another.
func (a *Archive) work(ctx context.Context, list []*task, p pace, progress func(done int64)) (changed int64, err error) {
	var done int64
	for _, t := range list {
		if t.keep { // before it looks at anything: who delivers by other rules takes it away again
			err = a.say(ctx, t, map[string]string{findingBy + t.category.Name: t.where()})
		}
		for more := true; more && err == nil; {
			began := time.Now()
			var n, revised int64
			n, revised, err = a.revise(ctx, t, p)
			more = n > 0
			if changed, done = changed+revised, done+n; more {
				a.redescribed.Add(uint64(n))
				progress(done)
				if p.rest != nil {
					p.rest(time.Since(began))
				}
			}
		}
		if err == nil && t.keep {
			err = a.say(ctx, t, map[string]string{foundBy + t.category.Name: t.print, findingBy + t.category.Name: ""})
		}
		if err != nil {
			return changed, fmt.Errorf("segment %s: %w", t.in.Month, unavailable(ctx, err))
		}
	}
	return changed, nil
}

// where is what a segment says of a task that is under way.
func (t *task) where() string { return t.print + " " + strconv.FormatInt(t.before, 10) }

// check reports whether a task still is to be done as it was begun. The caller holds
// a.writing.
func (a *Archive) check(t *task) error {
	if !t.keep {
		return nil
	}
	finding, _ := t.in.Said(findingBy + t.category.Name)
	if !strings.HasPrefix(finding, t.print+" ") || a.rules().of(t.category.Name) != t.print {
		return errOtherRules
	}
	return nil
}

// say stores what a segment has to say of a task.
func (a *Archive) say(ctx context.Context, t *task, said map[string]string) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.isGone(t.in) {
		return context.Cause(ctx)
	}
	if said[foundBy+t.category.Name] != "" { // it is done
		if err := a.check(t); err != nil {
			return err
		}
	}
	_, err := segment.Transact(ctx, &a.commits, segment.Change{In: t.in, Do: func(w *segment.Writer) error { return w.Say(said) }, Then: func() { t.in.Keep(said) }})
	return err
}

// sayEvery is after how many parts in which nothing changed it is stored how far a task
// is.
const sayEvery = 20

// revise revises the newest messages that are left of a task, and returns how many it
// looked at, and how many are found otherwise now.
func (a *Archive) revise(ctx context.Context, t *task, p pace) (n, changed int64, err error) {
	v, err := a.view(ctx)
	if err != nil {
		return 0, 0, err
	}
	borrowed, err := v.session(t.in)
	if err != nil || borrowed == nil { // or the segment was removed
		v.close()
		return 0, 0, err
	}
	rows, err := segment.Part{Segment: t.in, Session: borrowed}.Before(t.category.Term, t.before, p.part)
	v.close()
	if err != nil || len(rows) == 0 {
		return 0, 0, err
	}
	revisions := a.findAnew(ctx, t.in, rows, p.workers)
	a.writing.Lock()
	defer a.writing.Unlock()
	if a.isGone(t.in) {
		return 0, 0, nil
	}
	if err := a.check(t); err != nil {
		return 0, 0, err
	}
	before := rows[0].K
	for _, r := range rows {
		before = min(before, r.K)
	}
	next := *t
	next.before = before
	said := make(map[string]string)
	_, err = segment.Transact(ctx, &a.commits, segment.Change{In: t.in, Then: func() { t.in.Keep(said) }, Do: func(w *segment.Writer) (err error) {
		if changed, err = w.Revise(revisions); err != nil || !t.keep {
			return err
		}
		if a.unsaid++; changed == 0 && a.unsaid < sayEvery {
			return nil
		}
		a.unsaid = 0
		said[findingBy+t.category.Name] = next.where()
		return w.Say(said)
	}})
	if err != nil {
		return 0, 0, err
	}
	t.before = before
	return int64(len(rows)), changed, nil
}

// findAnew finds the words of rows anew. What cannot be read stays as it is.
func (a *Archive) findAnew(ctx context.Context, s *segment.Segment, rows []*segment.Row, workers int) []segment.Revision {
	revisions := make([]segment.Revision, len(rows))
	var working sync.WaitGroup
	for first := range workers {
		working.Go(func() {
			for i := first; i < len(rows); i += workers {
				e, err := s.Entry(rows[i], nil, a.epoch)
				if err != nil {
					a.logger.ErrorContext(ctx, "a message in the archive cannot be read", "month", s.Month, "err", err)
					continue
				}
				revisions[i].Row = rows[i]
				revisions[i].Terms, revisions[i].Lists = a.termsOf(ctx, e)
			}
		})
	}
	working.Wait()
	return slices.DeleteFunc(revisions, func(r segment.Revision) bool { return r.Row == nil })
}

// isGone reports whether a segment was removed, or everything closed. The caller
// holds a.writing.
func (a *Archive) isGone(s *segment.Segment) bool { return !slices.Contains(a.all(), s) }
