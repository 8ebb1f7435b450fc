// Package pyconfig reads the configuration of fedmsg 1.x, the *.py files of a folder
// fedmsg.d, without running Python.
//
//	files, err := pyconfig.Files(os.DirFS("/etc/fedmsg.d"))
//	values, report, err := pyconfig.Read(files, pyconfig.Config{Hostname: "app01"})
//
// Each file is a program that sets config to a dictionary. [Read] rewrites it as
// Starlark (package rewrite), runs that with its own operators, formats and methods,
// which are Python's, and merges the dictionaries: tables key by key, everything else
// as a whole, later files over earlier ones. What comes out is a tree of values under
// the old key names in the order of the files; each knows the line that it comes from.
//
// # Words
//
//   - Value: a null, bool, number, text, list or table of the configuration.
//   - Missing: stands for what a statement left out, or a module that is not here,
//     would have given. Whatever is made of it is missing too, and a key that needs it
//     is not imported.
//   - Note: a line of the [Report]: what was taken, left out, assumed.
//
// # What is not read
//
// try, with and class blocks, functions that hold one, and what only the host can
// answer (os.path.exists, the module psutil) are left out, with a note. An error are
// f-strings, the operator **, a < b < c, is with anything but None, True and False,
// keys that are neither text nor whole numbers, single letters of texts beyond ASCII,
// and methods that go by letters of such texts.
//
// # Promises
//
// A value is the one that Python 3 gives, or there is none and a note or an error
// names the line. (What only Python 2 understands has Python 2's meaning.) No file is
// opened, no program run, no host asked, no clock or environment read: a program sees
// what [Config] says. Memory, steps and sizes are bounded, whatever the files hold.
// All errors of all files are told at once.
package pyconfig
