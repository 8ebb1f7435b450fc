// Package say puts things as the pages of the bus have them: numbers, times, names of
// services, searches. What it returns is text; it may hold anything but characters
// that cannot be seen.
package say

import (
	"fmt"
	"hash/fnv"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/query"
)

func SameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}

// Category is the fourth word of a topic; "" if it has fewer.
func Category(t fedmsg.Topic) string {
	words := strings.SplitN(string(t), ".", 5)
	if len(words) < 4 {
		return ""
	}
	return words[3]
}

// Tail is a topic from its fourth word on, if it has so many.
func Tail(topic string) string {
	words := strings.SplitN(topic, ".", 4)
	if len(words) < 4 {
		return topic
	}
	return words[3]
}

// glosses say in a word or two what a service's messages are about, for those who
// do not know it by name. The number is its hue.
var glosses = map[string]struct {
	about string
	hue   int
}{
	"buildsys": {"builds", 1}, "bodhi": {"updates", 2}, "git": {"commits", 3}, "pagure": {"tickets and pull requests", 4},
	"openqa": {"install tests", 5}, "copr": {"community builds", 6}, "fedbadges": {"badges", 7}, "pungi": {"composes", 8},
	"anitya": {"new upstream releases", 9}, "discourse": {"discussions", 10}, "ci": {"package tests", 12}, "wiki": {"wiki edits", 4},
	"planet": {"blog posts", 10}, "meetbot": {"meetings", 12}, "mailman": {"mailing lists", 10}, "bugzilla": {"bugs", 2},
	"koschei": {"rebuilds of dependants", 6}, "hotness": {"bugs for new releases", 9}, "resultsdb": {"test results", 12},
	"waiverdb": {"waived tests", 5}, "greenwave": {"gating decisions", 10}, "mdapi": {"repository metadata", 8}, "fas": {"accounts", 7},
	"github": {"GitHub", 3}, "gitlab": {"GitLab", 3}, "forgejo": {"forge", 3}, "mbs": {"modules", 6}, "odcs": {"on-demand composes", 8},
	"infragit": {"infrastructure commits", 3}, "ansible": {"deployments", 9}, "nagios": {"monitoring", 5}, "kerneltest": {"kernel tests", 12},
	"coreos": {"CoreOS", 8}, "fmn": {"notifications", 7}, "logger": {"notes of admins", 9}, "mirrormanager": {"mirrors", 12},
	"fedocal": {"calendar", 7}, "elections": {"elections", 7}, "zanata": {"translations", 4}, "askbot": {"questions", 10},
}

// About says what a service's messages are about; its name if that is not known.
func About(service string) string {
	if g, ok := glosses[service]; ok {
		return g.about
	}
	return service
}

// Hue is the number of a service's colour, from 1 to 12; 11, the grey one, is of all
// others together.
func Hue(service string) int {
	const others = 11
	if service == "" {
		return others
	}
	if g, ok := glosses[service]; ok {
		return g.hue
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(service)) // it cannot fail
	if n := int(h.Sum32()%11) + 1; n != others {
		return n
	}
	return 12
}

// Hues are the colours of services that stand in one picture: each that of [Hue],
// unless one before it has that; then the next free one.
func Hues(services []string) []int {
	hues, taken := make([]int, len(services)), make(map[int]bool)
	for i, service := range services {
		hue := Hue(service)
		for range 12 {
			if service == "" || !taken[hue] {
				break
			}
			if hue = hue%12 + 1; hue == Hue("") {
				hue++
			}
		}
		hues[i], taken[hue] = hue, true
	}
	return hues
}

// Visible shows characters as escapes that would not be seen, or would turn what
// stands around them.
func Visible(s string) string {
	if strings.IndexFunc(s, isHidden) < 0 {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	var b strings.Builder
	for _, r := range s {
		if isHidden(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Clip shortens a text to so many characters.
func Clip(s string, n int) string {
	at := 0
	for i := range s {
		if at == n {
			return s[:i] + "…"
		}
		at++
	}
	return s
}

func isHidden(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Cf, r) && r != '\u200d' && r != '\u00ad' || r == '\u2028' || r == '\u2029'
}

// Count writes a number with narrow spaces between thousands.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// Plural writes a number and what is counted.
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1\u00a0" + one
	}
	return Count(n) + "\u00a0" + many
}

// Ago says how long ago something was; older than a day, when.
func Ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d < -time.Minute:
		return "in the future"
	case d < time.Second:
		return "now"
	case d < 24*time.Hour:
		return Lasting(d) + "\u00a0ago"
	case t.Year() == now.Year():
		return t.UTC().Format("2\u00a0Jan\u00a015:04")
	}
	return t.UTC().Format("2\u00a0Jan\u00a02006")
}

// Lasting writes a duration in one unit.
func Lasting(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(max(int(d/time.Second), 1)) + "\u00a0s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + "\u00a0min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + "\u00a0h"
	}
	return strconv.Itoa(int(d/(24*time.Hour))) + "\u00a0days"
}

// WebLink returns an address if it is one of the web, else "".
func WebLink(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return address
}

// Search is the address of a search.
func Search(line string) string {
	if line == "" {
		return "/history"
	}
	return "/history?q=" + url.QueryEscape(line)
}

// Term writes one condition as a search line has it; "" if there is none that can
// be read back.
func Term(t fedmsg.Test) string {
	line := query.String(fedmsg.Query{Filter: fedmsg.Filter{Op: fedmsg.Has, Test: t}})
	if _, err := query.Parse(line, time.Time{}); err != nil {
		return ""
	}
	return line
}

func FieldTerm(f fedmsg.Field, value string) string {
	if f == fedmsg.TopicField {
		value = Tail(value)
	}
	return Term(fedmsg.Test{Field: f, Value: value})
}

// And adds a condition to a line. One that says the contrary goes.
func And(line, term string, now time.Time) string {
	chips, err := query.Chips(line, now)
	if err != nil || len(chips) == 0 {
		return term
	}
	if len(chips) == 1 && chips[0].Key == "" && !strings.HasPrefix(chips[0].Text, "-") {
		return "(" + chips[0].Text + ") " + term
	}
	contrary := "-" + term
	if rest, not := strings.CutPrefix(term, "-"); not {
		contrary = rest
	}
	parts := make([]string, 0, len(chips)+1)
	for _, c := range chips {
		if c.Text != contrary && c.Text != term {
			parts = append(parts, c.Text)
		}
	}
	return strings.Join(append(parts, term), " ")
}

// Within gives a line other bounds in time; none if bounds is empty.
func Within(line, bounds string, now time.Time) string {
	chips, err := query.Chips(line, now)
	if err != nil {
		return line
	}
	chips = slices.DeleteFunc(chips, func(c query.Chip) bool { return IsBound(c.Key) })
	if bounds == "" || len(chips) == 0 {
		var parts []string
		for _, c := range chips {
			parts = append(parts, c.Text)
		}
		return strings.TrimSpace(strings.Join(parts, " ") + " " + bounds)
	}
	rest := ""
	for _, c := range chips {
		rest = strings.TrimSpace(rest + " " + c.Text)
	}
	return And(rest, bounds, now)
}

func IsBound(key string) bool { return key == "after" || key == "before" || key == "on" }

// Bounds are the words that bound a search in time.
func Bounds(since, until time.Time) string {
	return "after:" + since.UTC().Format("2006-01-02T15:04Z") + " before:" + until.UTC().Format("2006-01-02T15:04Z")
}

// Floor is when the step begins in which t is: steps are counted from 1970.
func Floor(t time.Time, step time.Duration) time.Time {
	ms, by := t.UnixMilli(), step.Milliseconds()
	return time.UnixMilli(ms - (ms%by+by)%by).UTC()
}
