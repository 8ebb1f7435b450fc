// Package madeup makes up what the services of a Linux distribution say while people
// are at work: commits and the builds, updates and comments that follow from them,
// composes and their tests, meetings, badges, blogs. Who reads it finds the same
// people and packages again, busy days and quiet Sundays, a service that talks all
// the time, some that fell silent, and one day on which everything was built anew.
package madeup

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"time"
)

// Said is what a service said, or will say.
type Said struct {
	At    time.Time
	Topic string // from the fourth word on: buildsys.tag
	Body  json.RawMessage
}

// World is where it happens. It is for one goroutine.
type World struct {
	rng    *rand.Rand
	number int // of builds, tasks, tickets: they only grow
	coming []Said
}

// New makes a world. Worlds with the same seed are alike.
func New(seed uint64) *World {
	return &World{rng: rand.New(rand.NewPCG(seed, 0x666d7367)), number: 2_600_000}
}

type body = map[string]any

// A story is what one thing leads to, in order of time.
type story struct {
	w    *World
	at   time.Time
	said []Said
}

// say adds what is said after a while.
func (s *story) say(later time.Duration, topic string, b body) {
	s.at = s.at.Add(later + time.Duration(s.w.rng.Int64N(int64(later)/4+int64(time.Second))))
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // cannot be: maps of strings and numbers
	}
	s.said = append(s.said, Said{s.at, topic, text})
}

func (w *World) begin(at time.Time) *story { return &story{w: w, at: at} }

func (w *World) next() int { w.number += 1 + w.rng.IntN(9); return w.number }

func (w *World) chance(percent int) bool { return w.rng.IntN(100) < percent }

func pick[T any](w *World, from ...T) T { return from[w.rng.IntN(len(from))] }

// often picks one of a list of which the first are the most frequent.
func (w *World) often(from []string) string {
	f := w.rng.Float64()
	return from[int(f*f*float64(len(from)))]
}

// Of those who take part, some came not long ago, and some have gone.
type person struct {
	name         string
	since, until int // days before now
}

var people = []person{
	{"alice", 999, 0}, {"bob", 999, 0}, {"carol", 999, 0}, {"dmitri", 999, 0}, {"eszter", 999, 0}, {"farid", 999, 0}, {"greta", 999, 0}, {"hiro", 999, 0},
	{"ines", 999, 2}, {"jakub", 999, 0}, {"kavya", 16, 0}, {"lars", 999, 0}, {"mei", 999, 6}, {"nadia", 999, 0}, {"olu", 12, 0}, {"petra", 999, 0},
	{"quentin", 999, 14}, {"rosa", 999, 0}, {"samir", 8, 0}, {"tove", 999, 0}, {"uli", 19, 13}, {"vera", 999, 0}, {"wanjiru", 5, 0}, {"ximena", 999, 9},
	{"yusuf", 2, 0}, {"zofia", 999, 0}, {"anders", 18, 0}, {"bea", 11, 4}, {"chidi", 1, 0}, {"dana", 999, 0},
}

// who picks somebody who takes part at a time, given how many days before now it is.
func (w *World) who(ago int) string {
	for {
		f := w.rng.Float64()
		if p := people[int(f*f*float64(len(people)))]; ago <= p.since && ago >= p.until {
			return p.name
		}
	}
}

var packages = []string{
	"kernel", "firefox", "python3.14", "systemd", "gnome-shell", "mesa", "golang", "rust", "vim", "bash", "podman", "curl", "openssl", "glibc", "gcc", "llvm",
	"nodejs", "postgresql", "nginx", "git", "tmux", "neovim", "emacs", "zsh", "fish", "ripgrep", "htop", "jq", "rsync", "nethack", "guake", "inkscape", "gimp",
	"blender", "libreoffice", "krita", "kdenlive", "ardour", "audacity", "obs-studio", "vlc", "ffmpeg", "godot", "wine", "dosbox", "cowsay", "fortune-mod",
	"mariadb", "redis", "haproxy", "bind", "unbound", "chrony", "cockpit", "ansible", "terraform", "ostree", "flatpak", "toolbox", "anaconda", "dnf5", "rpm",
	"perl", "ruby", "php", "lua", "erlang", "ghc", "ocaml", "R", "octave", "julia", "maxima", "gnuplot", "texlive", "pandoc", "asciidoctor", "hugo", "zola",
}

// branches are the release that is being made, and those before.
var branches = []struct{ name, dist, release, long string }{
	{"rawhide", "fc45", "F45", "Fedora 45"}, {"f44", "fc44", "F44", "Fedora 44"}, {"f43", "fc43", "F43", "Fedora 43"},
}

// Past makes up what was said in some days before now, in order of time, and in the
// last hour as much as [World.Next] will say in one.
func (w *World) Past(now time.Time, days int) []Said {
	var all []Said
	add := func(s *story) { all = append(all, s.said...) }
	for ago := days; ago >= 0; ago-- {
		day := now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -ago)
		busy := 24
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
			busy = 9
		}
		for range busy {
			add(w.change(w.hour(day), ago))
		}
		for range busy / 2 {
			add(w.small(w.hour(day), ago))
		}
		for at := day.Add(4 * time.Minute); at.Before(day.Add(24 * time.Hour)); at = at.Add(time.Duration(14+w.rng.IntN(30)) * time.Minute) {
			add(w.nightly(at)) // it never sleeps
		}
		add(w.compose(day.Add(5*time.Hour + 15*time.Minute)))
		if busy > 9 {
			add(w.meeting(day.Add(15*time.Hour), ago))
		}
		if ago > 3 { // and then it fell silent
			for h := 1; h < 24; h += 6 {
				add(w.mirrors(day.Add(time.Duration(h) * time.Hour)))
			}
		}
	}
	add(w.election(now.AddDate(0, 0, -days+1).Add(-3 * time.Hour)))
	all = append(all, w.rebuild(now.UTC().Truncate(24*time.Hour).AddDate(0, 0, -9).Add(9*time.Hour))...)
	for at := now.Add(-time.Hour); at.Before(now); at = at.Add(time.Duration(w.rng.IntN(5000)) * time.Millisecond) {
		said := w.Next()
		said.At = at
		all = append(all, said)
	}
	slices.SortStableFunc(all, func(a, b Said) int { return a.At.Compare(b.At) })
	first := now.AddDate(0, 0, -days)
	return slices.DeleteFunc(all, func(s Said) bool { return s.At.Before(first) || !s.At.Before(now) })
}

// hour picks a time of a day: most work is done between eight and twenty, UTC.
func (w *World) hour(day time.Time) time.Time {
	at := 14 + w.rng.NormFloat64()*4
	for at < 0 || at >= 24 {
		at = w.rng.Float64() * 24
	}
	return day.Add(time.Duration(at * float64(time.Hour)))
}

// Next makes up what is said now. What follows from it comes in later calls.
func (w *World) Next() Said {
	if len(w.coming) == 0 || w.chance(25) && len(w.coming) < 300 {
		var s *story
		switch w.rng.IntN(10) {
		case 0, 1, 2, 3:
			s = w.change(time.Time{}, 0)
		case 4, 5:
			s = w.nightly(time.Time{})
		default:
			s = w.small(time.Time{}, 0)
		}
		w.coming = append(w.coming, s.said...)
		// In order of the time between: comments come long after a build has begun.
		slices.SortStableFunc(w.coming, func(a, b Said) int { return a.At.Compare(b.At) })
	}
	said := w.coming[0]
	w.coming = slices.Delete(w.coming, 0, 1)
	return said
}
