package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fedora-infra/fedmsg-go/internal/spell"
)

var (
	undefinedVariable = regexp.MustCompile(`^undefined variable "\$(.*)"$`)
	operator          = regexp.MustCompile(`^(illegal number syntax: "[-+]|bad character U\+\w+ '[*/<>&!%]|unexpected "[-+*/<>&!%])`)
	// blockWord finds what opens and closes blocks.
	blockWord = regexp.MustCompile(`(?s)\{\{-?\s*(?:/\*.*?\*/|(if|with|range|end)\b)`)
)

// foreign are words of other template languages, and what they are here.
var foreign = map[string]string{
	"elif": "else if", "elseif": "else if", "elsif": "else if", "endif": "end", "endfor": "end", "for": "range", "foreach": "range",
	"printf": "print", "println": "print", "default": "or", "coalesce": "or", "length": "len", "size": "len", "index": "get", "title": "capitalize",
}

// plainer says in words of the rule language what the parser of text/template says
// in its own.
func plainer(e *Error, src string, names Names) *Error {
	if m := undefinedVariable.FindStringSubmatch(e.Text); m != nil {
		if near := spell.Nearest(m[1], names.Variables()); near != "" && len(m[1]) > 2 {
			e.Text += fmt.Sprintf("; did you mean $%s?", near)
		}
		return e
	}
	switch {
	case e.Text == "unexpected EOF":
		if word, line := openBlock(src); word != "" {
			return &Error{line, fmt.Sprintf("{{%s}} has no {{end}}", word)}
		}
	case e.Text == "unexpected {{end}}":
		e.Text += ": there is no {{if}}, {{with}} or {{range}} before it that is still open"
	case strings.HasPrefix(e.Text, "unclosed comment"), strings.HasPrefix(e.Text, "unterminated"):
	case strings.HasPrefix(e.Text, "unclosed action"), strings.LastIndex(src, "{{") > strings.LastIndex(src, "}}"), strings.HasSuffix(e.Text, "'}'"):
		e.Text = "unclosed action; close with }}"
	case strings.HasPrefix(e.Text, "bad character U+002D"):
		e.Text += `; for a name with other characters write get . "a-b"`
	case strings.HasPrefix(e.Text, "bad character U+005B"), strings.HasPrefix(e.Text, `unexpected ".0"`):
		e.Text += `; for a place in a list write get .list 0`
	case strings.HasPrefix(e.Text, `unexpected "="`):
		e.Text += `; to compare write eq .a "b"`
	case operator.MatchString(e.Text):
		e.Text += "; there are no operators, but helpers: add, sub, eq, ne, lt, gt, and, or, not"
	case strings.HasPrefix(e.Text, "missing value for command"):
		e.Text = "missing value for command: there is nothing in {{ }}"
	case strings.HasPrefix(e.Text, "unexpected <.>"):
		e.Text += "; a path begins with a dot, as in .user.name"
	}
	return e
}

// openBlock finds the block that has no end, the innermost, and its line from 0.
func openBlock(src string) (word string, line int) {
	var open []int
	all := blockWord.FindAllStringSubmatchIndex(src, -1)
	for i, at := range all {
		switch {
		case at[2] < 0: // a comment
		case src[at[2]:at[3]] != "end":
			open = append(open, i)
		case len(open) > 0:
			open = slices.Delete(open, len(open)-1, len(open))
		}
	}
	if len(open) == 0 {
		return "", 0
	}
	at := all[open[len(open)-1]]
	return src[at[2]:at[3]], strings.Count(src[:at[0]], "\n")
}
