package disk

import "syscall"

// Magic returns the number of the kind of file system that a directory is on. It is a
// variable for tests, which have no such file system at hand.
var Magic = func(dir string) (magic uint32, err error) {
	var stat syscall.Statfs_t
	err = syscall.Statfs(dir, &stat)
	return uint32(stat.Type), err
}
