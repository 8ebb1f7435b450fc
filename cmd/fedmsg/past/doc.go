// Package past is what the commands about the past do: the archive beside a running
// bus, searches, imports, exports, and datanommer's old commands.
//
// It knows no archive by name: the program opens one, by [Env], and passes it on.
package past
