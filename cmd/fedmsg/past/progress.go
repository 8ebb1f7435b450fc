package past

import (
	"fmt"
	"strings"
	"time"
)

// A progress tells a person how far something is: a line that is written over
// again and again on a terminal, nothing elsewhere.
type progress struct {
	env        Env
	name, unit string
	began      time.Time
	told       time.Time
	n          int64
	// done is how much of the whole is behind, in another unit, and from how much that
	// was at the beginning. A whole of 0 is not known.
	from, done, whole int64
}

func newProgress(env Env, name, unit string) *progress {
	return &progress{env: env, name: name, unit: unit, began: time.Now(), told: time.Now()}
}

// add counts n more, and what they took of the whole.
func (p *progress) add(n, done int64) {
	p.n, p.done = p.n+n, p.done+done
	if p.env.Terminal && time.Since(p.told) > 200*time.Millisecond {
		p.told = time.Now()
		fmt.Fprintf(p.env.Stderr, "\r\x1b[K%s: %s", p.name, p.line(p.told.Sub(p.began)))
	}
}

// Whole, Reached and Say are those of [intake.Progress].
func (p *progress) Whole(whole, behind int64) { p.whole, p.from, p.done = whole, behind, behind }

// Reached says how much is behind.
func (p *progress) Reached(messages, behind int64) {
	p.done = behind
	p.add(messages, 0)
}

// Say writes a line to people; above the progress, if there is one.
func (p *progress) Say(text string) {
	p.end()
	fmt.Fprintf(p.env.Stderr, "%s: %s\n", p.name, p.env.Clean(text))
}

// barWidth is how many characters the bar has.
const barWidth = 20

// line says how far it is, how fast, and how long it will take.
func (p *progress) line(took time.Duration) string {
	line := fmt.Sprintf("%d %s, %.0f a second", p.n, p.unit, float64(p.n)/max(took.Seconds(), 0.001))
	if p.whole <= 0 || p.done <= p.from || p.done > p.whole {
		return line
	}
	part := float64(p.done) / float64(p.whole)
	left := time.Duration(float64(took) * float64(p.whole-p.done) / float64(p.done-p.from))
	full := int(part * barWidth)
	return fmt.Sprintf("[%s%s] %3.0f%%, %s, %s left", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), part*100, line, left.Round(time.Second))
}

func (p *progress) end() {
	if p.env.Terminal {
		fmt.Fprint(p.env.Stderr, "\r\x1b[K")
	}
}
