// Package disk tells what must be known of the file system that a database is on.
package disk

// Space is what a file system has, in bytes. Available is what is left for who is not
// root.
type Space struct{ Available, Total int64 }

// networks are file systems that lie on another machine, by the number that statfs(2)
// gives of them (linux/magic.h, and the sources of each). SQLite's journal must be in
// memory that all who use it share, so on these it may lose what was written.
var networks = map[uint32]string{
	0x6969: "NFS", 0xFF534D42: "CIFS", 0xFE534D42: "SMB2", 0x517B: "SMB", 0x01021997: "9p", 0x5346414F: "AFS", 0x00C36400: "Ceph", 0x0BD00BD0: "Lustre",
}

// Network returns the name of a file system that lies on another machine, "" for all
// others.
func Network(dir string) string {
	magic, _ := Magic(dir)
	return networks[magic]
}
