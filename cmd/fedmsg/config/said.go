package config

import (
	"fmt"

	"github.com/fedora-infra/fedmsg-go/cmd/fedmsg/config/parse"
)

// What was said, where, and what is wrong with it.
type (
	Value    = parse.Value
	Origin   = parse.Origin
	Problem  = parse.Problem
	Problems = parse.Problems
)

// at is a problem at a place.
func at(origin Origin, key, format string, args ...any) Problem {
	return Problem{Origin: origin, Key: key, Text: fmt.Sprintf(format, args...)}
}
