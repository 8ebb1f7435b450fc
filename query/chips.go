package query

import (
	"strings"
	"time"
)

// A Chip is one of the conditions that a line is made of, as a page shows it: with a
// way to take it away.
type Chip struct {
	// Text is the condition as it was typed, with the minus before it.
	Text string
	// Key is its key, by its own name: category for service:git, text for words, body
	// for body.x:1; empty for what stands in parentheses and for a line with OR.
	Key string
	// Not says that it is denied.
	Not bool
	// Without is the line without it. It may be empty: then nothing is asked for.
	Without string
}

// Chips returns the conditions of a line, from left to right. A line whose parts are
// joined by OR is one condition. The error is that of [Parse].
func Chips(line string, now time.Time) ([]Chip, error) {
	p := parser{line: line, now: now}
	if _, err := p.query(); err != nil {
		return nil, err
	}
	if p.or {
		return []Chip{{Text: strings.TrimSpace(line)}}, nil
	}
	var chips []Chip
	for i, it := range p.top {
		var rest []string
		for j, other := range p.top {
			if j != i {
				rest = append(rest, line[other.start:other.end])
			}
		}
		chips = append(chips, Chip{Text: line[it.start:it.end], Key: it.key, Not: it.not, Without: strings.Join(rest, " ")})
	}
	return chips, nil
}
