// Package meta finds the words for messages: a sentence, a link, a picture, who
// did it, and which packages and things it is about.
//
// What it knows of a service stands in a rule file, so that the people of the
// service can write it without knowing Go: see docs/words.md. Rules are pure. They
// see one message, and of the world only what the [Engine] was given: accounts,
// a clock, pages that the operator lets it fetch. Their work and what they make is
// bounded, and what is missing in a message empties one field, never all.
//
// What no rule knows is worded by the generic describer, from what the messages of
// many services have in common; so a sentence is never blank.
package meta
