// Package template is the language of rule files: texts with holes, the values
// that fill them, and the helpers that may be called.
//
// Syntax, and parser, are those of Go's text/template. The evaluator is ours: it
// tells a value that is not there from an empty text, keeps the spelling of
// numbers, counts every step, so that no template runs for long or makes much, and
// works on JSON as it came, which makes it several times as fast.
package template
