//go:build linux || darwin || freebsd

package sqlite

import "syscall"

// freeSpace asks the file system of a directory. Available is what is left for
// who is not root.
func freeSpace(dir string) (fs fileSystem, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return fs, false
	}
	return fileSystem{int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize)}, true
}
