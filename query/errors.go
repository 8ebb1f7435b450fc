package query

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// An Error says what is wrong with a query, and where. It wraps
// [fedmsg.ErrInvalid], and [fedmsg.Hint] finds its hint.
type Error struct {
	// Param is the parameter of the URL; empty for a line that came by itself.
	Param string
	// Line is what was read: a line, or the value of a parameter.
	Line string
	// Pos and Len are the place in Line, in bytes. Len is 0 at the end of the line,
	// where something is missing.
	Pos, Len int
	// Text says what is wrong, Hint what to do about it; Hint may be empty.
	Text, Hint string
}

// Error returns one line.
func (e *Error) Error() string {
	where := fmt.Sprintf("character %d: ", 1+utf8.RuneCountInString(e.Line[:min(e.Pos, len(e.Line))]))
	if e.Line == "" || e.Param != "" && e.Pos == 0 && e.Len == len(e.Line) {
		where = "" // all of it
	}
	if e.Param != "" {
		where = "parameter " + e.Param + ": " + where
	}
	return "query: " + where + e.Text
}

// Unwrap returns [fedmsg.ErrInvalid].
func (e *Error) Unwrap() error { return fedmsg.ErrInvalid }

// As makes a [fedmsg.HintError] of an error with a hint.
func (e *Error) As(target any) bool {
	hint, ok := target.(**fedmsg.HintError)
	if !ok || e.Hint == "" {
		return false
	}
	*hint = &fedmsg.HintError{Err: e, Hint: e.Hint}
	return true
}

// How much of a long line [Error.Show] shows before the place and in all, in
// characters.
const (
	showBefore = 40
	showWidth  = 76
)

// Show returns two lines for a terminal: the line that was read, cut if it is long,
// and ^ under the place. What is not printable is shown as a blank.
func (e *Error) Show() string {
	start := min(e.Pos, len(e.Line))
	before := []rune(e.Line[:start])
	place := []rune(e.Line[start:min(start+e.Len, len(e.Line))])
	rest := []rune(e.Line[min(start+e.Len, len(e.Line)):])

	var shown strings.Builder
	if len(before) > showBefore {
		before = append([]rune("… "), before[len(before)-showBefore+2:]...)
	}
	room := max(showWidth-len(before), 1)
	width := min(len(place), room)
	all := append(append(before, place...), rest...)
	if len(all) > showWidth {
		all = append(all[:showWidth:showWidth], []rune(" …")...)
	}
	for _, r := range all {
		if !unicode.IsPrint(r) {
			r = ' '
		}
		shown.WriteRune(r)
	}
	return strings.TrimRight(shown.String(), " ") + "\n" + strings.Repeat(" ", len(before)) + strings.Repeat("^", max(width, 1))
}
