// Package config is what can be said about fedmsg outside of a program: in files under
// fedmsg's old key names, in the environment and with flags.
//
// Everything that can be said is a field of [Config], whose tags hold the name, the
// default, the unit and the sentence that the reference, the help of the flags and the
// JSON Schema show:
//
//	key      name in files; a table for a struct
//	flag     name of the flag of fedmsg serve that says the same
//	env      name in the environment after FEDMSG_, if it is not the key's
//	default  as one writes it
//	unit     s, ms or bytes: what a number without a unit means
//	min, max bounds of a number
//	effect   "none" for what fedmsg 1.x had and nothing here needs, "later" for what
//	         nothing here uses yet
//	doc      the sentence
//
// [Load] reads files in the order of their names, then the environment, then flags.
// Later ones win; tables are merged key by key, all else is replaced. Every value knows
// where it was said, so a [Problem] can tell, and all problems are told at once.
package config
