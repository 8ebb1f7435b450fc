package mem

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"iter"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// defaultLimit is how many messages a page has if the query does not say.
const defaultLimit = 25

// Archive is an archive in memory that has no index: each search looks at
// everything. [NewArchive] makes one.
type Archive struct {
	match func(fedmsg.Filter, fedmsg.Entry) bool
	words fedmsg.Describer

	mu     sync.RWMutex
	byID   map[string]*kept
	bySeq  []*kept       // entries without a place are not among them
	byTime []*kept       // oldest first
	grown  chan struct{} // closed when there is more
}

// kept is an entry with what it is found by.
type kept struct {
	fedmsg.Entry
	key
	words fedmsg.Words
}

// A key is a place in the order of time: in milliseconds since 1970, and of equal
// ones in the order of arrival.
type key struct {
	ms      int64
	arrival uint64
}

func (k key) compare(other key) int {
	return cmp.Or(cmp.Compare(k.ms, other.ms), cmp.Compare(k.arrival, other.arrival))
}

var (
	_ fedmsg.Archive = (*Archive)(nil)
	_ fedmsg.Counter = (*Archive)(nil)
)

// NewArchive makes an empty archive. match says whether an entry passes a filter;
// words finds users, packages and objects of what comes in.
func NewArchive(match func(fedmsg.Filter, fedmsg.Entry) bool, words fedmsg.Describer) *Archive {
	return &Archive{match: match, words: words, byID: make(map[string]*kept), grown: make(chan struct{})}
}

// Deliver keeps entries whose IDs it does not have yet. See [fedmsg.Sink]. If a
// message has no ID, nothing is kept and the error wraps [fedmsg.ErrInvalid].
func (a *Archive) Deliver(ctx context.Context, batch []fedmsg.Entry) (n int, err error) {
	if err := context.Cause(ctx); err != nil {
		return 0, fmt.Errorf("deliver: %w", err)
	}
	fresh := make([]*kept, len(batch))
	for i, e := range batch {
		if e.Message.ID == "" {
			return 0, fmt.Errorf("deliver: entry %d: %w", e.Seq, fedmsg.RefuseField(fedmsg.MissingField, "msg_id", "an archive finds messages by it"))
		}
		fresh[i] = &kept{Entry: e, key: key{ms: e.Message.Time.UnixMilli()}, words: a.words.Describe(ctx, e.Message)}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range fresh {
		if a.byID[k.Message.ID] != nil {
			continue
		}
		k.arrival = uint64(len(a.byID))
		a.byID[k.Message.ID] = k
		i := sort.Search(len(a.byTime), func(i int) bool { return a.byTime[i].compare(k.key) > 0 })
		a.byTime = slices.Insert(a.byTime, i, k)
		if k.Seq > 0 {
			a.bySeq = slices.Insert(a.bySeq, a.after(k.Seq), k)
		}
	}
	close(a.grown)
	a.grown = make(chan struct{})
	return len(batch), nil
}

// after returns where in bySeq the entries after a place begin. a.mu is held.
func (a *Archive) after(seq fedmsg.Seq) int {
	return sort.Search(len(a.bySeq), func(i int) bool { return a.bySeq[i].Seq > seq })
}

// Find returns the entry with this ID. See [fedmsg.Finder].
func (a *Archive) Find(ctx context.Context, id string) (fedmsg.Entry, error) {
	if err := context.Cause(ctx); err != nil {
		return fedmsg.Entry{}, fmt.Errorf("find %q: %w", id, err)
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	k := a.byID[id]
	if k == nil {
		return fedmsg.Entry{}, fmt.Errorf("find %q: %w", id, fedmsg.ErrNotFound)
	}
	return k.Entry, nil
}

// Last returns the newest place in the log that it has.
func (a *Archive) Last() fedmsg.Seq {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if len(a.bySeq) == 0 {
		return 0
	}
	return a.bySeq[len(a.bySeq)-1].Seq
}

// Read follows the archive. See [fedmsg.Reader]. Entries without a place in the
// log do not occur in it.
func (a *Archive) Read(ctx context.Context, after fedmsg.Seq, want ...fedmsg.Pattern) iter.Seq2[[]fedmsg.Entry, error] {
	return func(yield func([]fedmsg.Entry, error) bool) {
		for first := true; ; first = false {
			a.mu.RLock()
			more, grown := slices.Clone(a.bySeq[a.after(after):]), a.grown
			beyond := after > 0 && len(more) == 0 && (len(a.bySeq) == 0 || a.bySeq[len(a.bySeq)-1].Seq < after)
			a.mu.RUnlock()
			if first && beyond {
				yield(nil, fmt.Errorf("read after %d: the archive ends before: %w", after, fedmsg.ErrInvalid))
				return
			}
			var batch []fedmsg.Entry
			for _, k := range more {
				after = k.Seq
				if fedmsg.MatchAny(want, k.Message.Topic) {
					batch = append(batch, k.Entry)
				}
			}
			if ctx.Err() == nil && len(batch) > 0 && !yield(batch, nil) {
				return
			}
			if len(batch) == 0 {
				select {
				case <-grown:
				case <-ctx.Done():
				}
			}
			if err := context.Cause(ctx); err != nil {
				yield(nil, fmt.Errorf("read after %d: %w", after, err))
				return
			}
		}
	}
}

// Search returns a page. See [fedmsg.Archive]. The error wraps [fedmsg.ErrInvalid]
// too if the limit is negative or the filter is none.
func (a *Archive) Search(ctx context.Context, q fedmsg.Query) (fedmsg.Page, error) {
	page, err := a.search(ctx, q)
	if err != nil {
		return fedmsg.Page{}, fmt.Errorf("search: %w", err)
	}
	return page, nil
}

func (a *Archive) search(ctx context.Context, q fedmsg.Query) (page fedmsg.Page, err error) {
	limit := cmp.Or(q.Limit, defaultLimit)
	if limit < 0 {
		return page, fedmsg.RefuseField(fedmsg.BadField, "limit", "is %d; 0 stands for %d", limit, defaultLimit)
	}
	if err := cmp.Or(context.Cause(ctx), validate(q.Filter)); err != nil {
		return page, err
	}
	back, at, err := parseCursor(q)
	if err != nil {
		return page, err
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	from := at
	switch {
	case q.Cursor != "":
	case q.OldestFirst:
		from.ms = math.MinInt64
	default:
		from.ms = math.MaxInt64
	}
	found := a.next(q, q.OldestFirst != back, from, limit)
	more := len(found) > limit
	found = found[:min(limit, len(found))]
	if len(found) == 0 {
		return page, nil
	}
	if back {
		slices.Reverse(found)
	}
	for _, k := range found {
		page.Entries = append(page.Entries, k.Entry)
	}
	// A cursor comes from an entry of this query, on the other side.
	if more || back {
		page.Next = cursor(q, false, found[len(found)-1].key)
	}
	if back && more || !back && q.Cursor != "" {
		page.Prev = cursor(q, true, found[0].key)
	}
	return page, nil
}

// next returns what passes a query later than a key, or earlier: at most limit of
// it, and one more if there is more. a.mu is held.
func (a *Archive) next(q fedmsg.Query, later bool, from key, limit int) (found []*kept) {
	i, step := sort.Search(len(a.byTime), func(i int) bool { return a.byTime[i].compare(from) > 0 }), 1
	if !later {
		i, step = sort.Search(len(a.byTime), func(i int) bool { return a.byTime[i].compare(from) >= 0 })-1, -1
	}
	for ; i >= 0 && i < len(a.byTime) && len(found) <= limit; i += step {
		if a.passes(q, a.byTime[i]) {
			found = append(found, a.byTime[i])
		}
	}
	return found
}

func (a *Archive) passes(q fedmsg.Query, k *kept) bool {
	return (q.Since.IsZero() || k.ms >= q.Since.UnixMilli()) && (q.Until.IsZero() || k.ms < q.Until.UnixMilli()) && a.match(q.Filter, k.Entry)
}

// validate returns a [fedmsg.BadField] refusal unless f is a filter.
func validate(f fedmsg.Filter) error {
	if f.Op > fedmsg.Has || f.Op == fedmsg.Not && len(f.Of) != 1 {
		return fedmsg.RefuseField(fedmsg.BadField, "filter", "operation %d of %d filters", f.Op, len(f.Of))
	}
	if f.Op == fedmsg.Has && !isTerm(f.Test.Field) && !slices.Contains([]fedmsg.Field{fedmsg.IDField, fedmsg.VerifiedField,
		fedmsg.TextField, fedmsg.BodyField, fedmsg.HeaderField}, f.Test.Field) {
		return fedmsg.RefuseField(fedmsg.BadField, "filter", "there is no field %q", f.Test.Field)
	}
	for _, branch := range f.Of {
		if err := validate(branch); err != nil {
			return err
		}
	}
	return nil
}

// cursor stands for the page that follows an entry of a page, or goes before one.
func cursor(q fedmsg.Query, back bool, at key) string {
	b := []byte{1, 0}
	if back {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at.ms))
	b = binary.BigEndian.AppendUint64(b, at.arrival)
	q.Limit, q.Cursor = 0, ""
	whole := fmt.Appendf(b, "%#v %v %d %d", q.Filter, q.OldestFirst, q.Since.UnixMilli(), q.Until.UnixMilli())
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(whole)))
}

func parseCursor(q fedmsg.Query) (back bool, at key, err error) {
	if q.Cursor == "" {
		return false, key{}, nil
	}
	if b, err := base64.RawURLEncoding.DecodeString(q.Cursor); err == nil && len(b) == 22 {
		back = b[1] == 1
		at = key{int64(binary.BigEndian.Uint64(b[2:])), binary.BigEndian.Uint64(b[10:])}
	}
	if cursor(q, back, at) != q.Cursor {
		return false, key{}, fedmsg.RefuseField(fedmsg.BadField, "cursor", "is none that this query gave")
	}
	return back, at, nil
}

// isTerm reports whether messages are counted by a field.
func isTerm(f fedmsg.Field) bool {
	switch f {
	case fedmsg.TopicField, fedmsg.CategoryField, fedmsg.AgentField, fedmsg.UserField, fedmsg.PackageField, fedmsg.ObjectField:
		return true
	}
	return false
}

// terms returns the values that an entry has of a term field. Of a category and an
// agent there is always one, which may be empty.
func (k *kept) terms(f fedmsg.Field) []string {
	switch f {
	case fedmsg.TopicField:
		return []string{string(k.Message.Topic)}
	case fedmsg.CategoryField:
		words := strings.SplitN(string(k.Message.Topic), ".", 5)
		if len(words) < 4 {
			return []string{""}
		}
		return words[3:4]
	case fedmsg.AgentField:
		return []string{k.words.Agent}
	case fedmsg.UserField:
		return k.words.Usernames
	case fedmsg.PackageField:
		return k.words.Packages
	case fedmsg.ObjectField:
		return k.words.Objects
	}
	return nil
}
