//go:build linux || darwin || freebsd

package disk

import "syscall"

// Free asks the file system of a directory; known is false if it does not say.
func Free(dir string) (s Space, known bool) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return s, false
	}
	return Space{int64(stat.Bavail) * int64(stat.Bsize), int64(stat.Blocks) * int64(stat.Bsize)}, true
}
