package fedmsg

import (
	"context"
	"time"
)

// A Query asks for messages of the past. Its zero value asks for the newest of all.
type Query struct {
	// Filter says which. The zero Filter lets all pass.
	Filter Filter
	// Since and Until bound the times that messages have by their publishers' word:
	// from Since, included, to Until, not included. A zero time is no bound.
	Since, Until time.Time
	// OldestFirst turns the order, which is newest first.
	OldestFirst bool
	// Limit is how many messages a page has at most; 0 means 25.
	Limit int
	// Cursor is Next or Prev of a page that the same query gave.
	Cursor string
}

// A Filter is a tree of conditions. It is what package query makes of a search
// line, and what an archive plans by.
type Filter struct {
	Op Op
	// Of are the branches of All, Any and Not; Not has one.
	Of []Filter
	// Test is the leaf of Has.
	Test Test
}

// An Op says how the branches of a filter go together.
type Op uint8

// All of no branches lets everything pass, Any of none nothing.
const (
	All Op = iota
	Any
	Not
	Has
)

// A Test is one condition on a message.
type Test struct {
	Field Field
	// Path is where in the body or the headers, dotted: update.alias. A number is a
	// place in a list; a list is true if one of its values is.
	Path     string
	Relation Relation
	// Value is a [Pattern] of a topic: it must match the whole topic, or the topic
	// from its fourth word on. Of text it is words, or a phrase if Relation is Phrase.
	// All else is equal if it is spelled alike.
	Value string
}

// A Field is what can be asked of a message.
type Field string

// The fields. Those up to ObjectField are terms: an archive finds messages by them
// without looking at others.
const (
	TopicField    Field = "topic"
	CategoryField Field = "category" // the fourth word of the topic
	AgentField    Field = "agent"
	UserField     Field = "user"
	PackageField  Field = "package"
	ObjectField   Field = "object"
	IDField       Field = "id"
	VerifiedField Field = "verified" // the stamp; of a stamp "x509:NAME" also "x509"
	TextField     Field = "text"     // words in the body's values and the topic
	BodyField     Field = "body"
	HeaderField   Field = "header"
)

// A Relation is how a value must stand to the one in a test.
type Relation uint8

// Less, AtMost, More and AtLeast compare numbers by value, all else by its bytes.
// Phrase is of text: the words must follow one another.
const (
	Equal Relation = iota
	Less
	AtMost
	More
	AtLeast
	Phrase
)

// A Page is a part of an answer.
type Page struct {
	Entries []Entry
	// Next and Prev are cursors of the pages around; empty if there is none.
	Next, Prev string
	// ScannedTo is not zero if the search ended early: it looked no further than
	// this time, and Next goes on from there.
	ScannedTo time.Time
}

// Archive keeps every message for ever. What it delivers twice it keeps once.
type Archive interface {
	Sink
	Reader
	Finder
	// Search returns a page of what a query asks for. The error wraps [ErrInvalid] for
	// a cursor that is none, or of another query.
	Search(ctx context.Context, q Query) (Page, error)
}

// Counter counts what an archive holds.
type Counter interface {
	// Count returns how many messages pass a query, in groups; q.Limit and q.Cursor
	// do not matter.
	Count(ctx context.Context, q Query, by Grouping) (Counts, error)
	// Terms returns the values of a field that begin with a prefix, the most frequent
	// first, at most limit of them.
	Terms(ctx context.Context, f Field, prefix string, limit int) ([]Term, error)
}

// A Grouping says how counts are parted. Its zero value counts all together.
type Grouping struct {
	// Step parts by time, in steps since 1970 in UTC: a minute, an hour or a day, or
	// several of one of them. 0 does not part.
	Step time.Duration
	// Field parts by the values of a term field; "" does not part.
	Field Field
	// Limit is how many values at most, the most frequent of all time asked for; the
	// others are counted under "". 0 means 20.
	Limit int
}

// Counts are how many messages there are in groups.
type Counts struct {
	Rows []Count
	// Estimate says that counting ended early: there are at least so many.
	Estimate bool
}

// A Count is how many messages one group has.
type Count struct {
	At    time.Time // when its step begins; zero if not parted by time
	Value string    // of the field
	N     int64
}

// A Term is a value of a field, and what is known of it.
type Term struct {
	Name        string
	N           int64     // messages
	First, Last time.Time // of the messages' own times
}
