//go:build !(linux || darwin || freebsd)

package sqlite

// freeSpace does not know how to ask here.
func freeSpace(string) (fs fileSystem, known bool) { return fs, false }
