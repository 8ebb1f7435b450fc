// Package rewrite turns the text of a Python configuration file into Starlark, a
// language that looks like Python and can do nothing but compute. It understands
// Python's words, lines and blocks, and leaves expressions to Starlark's parser.
//
// What the two languages spell differently is spelled anew: string prefixes and
// escapes, adjacent literals, numbers of Python 2, sets, generators, imports, chained
// assignments. What Starlark cannot do and a configuration seldom needs (try, class,
// with, ...) is left out and told in [Result.Skipped]. What would come out wrong is a
// [Problem].
//
// Every token keeps its line, so an error of Starlark points into the Python file.
//
// # Promises
//
// [File] runs nothing and needs memory in proportion to the text. It refuses what
// nests so deep that parsers which call themselves run out of stack.
package rewrite
