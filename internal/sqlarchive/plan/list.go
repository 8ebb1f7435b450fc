// Package plan finds out what passes a query in a segment, and looks at as little as
// it can.
//
// A query becomes a condition, which can judge a message, and a list of places in
// the order that is asked for, in which all that passes is: put together of posting
// lists and the text index, or of all messages if there is nothing better. What
// list it is decides how long it takes; what is found, the judgement alone.
//
// A list is read as far as somebody asks and jumps over what nobody needs, so that to
// join a short list with a long one costs what the short one costs.
package plan

import (
	"errors"
	"slices"
)

// End is beyond the end of every list.
const End = 1<<63 - 1

// ErrSpent ends a search before its end.
var ErrSpent = errors.New("the budget is spent")

// A List is a sorted list of places.
type List interface {
	// Next returns the first place at or after from, or End. From must not be less
	// than in the call before. With [ErrSpent] it returns a place before which
	// there is none.
	Next(from int64) (int64, error)
}

// Bounds of how many places a stored list reads at once: as long as somebody goes
// on reading, twice as many; half as many for who jumps over most of them. Who will read
// all of a list reads it in longer pieces, since to find a place in the text index takes
// as long as a thousand.
const (
	minRead   = 16
	maxRead   = 512
	wholeRead = 8192
)

// Stored is a list that is read piece by piece. [NewStored] makes one.
type Stored struct {
	load  func(from int64, limit int) ([]int64, error)
	buf   []int64
	limit int // of the next piece
	most  int
	read  int // places of this piece
	taken int // how often somebody asked in it
	done  bool
}

// NewStored makes a list of what load returns: places at or after from, in order,
// at most limit, and fewer only if there are no more.
func NewStored(load func(from int64, limit int) ([]int64, error)) *Stored {
	return &Stored{load: load, limit: minRead, most: maxRead}
}

// Next implements [List].
func (s *Stored) Next(from int64) (int64, error) {
	if len(s.buf) > 0 && s.buf[len(s.buf)-1] >= from {
		at, _ := slices.BinarySearch(s.buf, from)
		s.buf = s.buf[at:]
		s.taken++
		return s.buf[0], nil
	}
	if s.done {
		return End, nil
	}
	if s.taken*jumped < s.read {
		s.limit = max(s.limit/4, minRead)
	}
	var err error
	if s.buf, err = s.load(from, s.limit); err != nil {
		return from, err
	}
	s.done = len(s.buf) < s.limit
	s.limit, s.read, s.taken = min(2*s.limit, s.most), len(s.buf), 1
	if len(s.buf) == 0 {
		return End, nil
	}
	return s.buf[0], nil
}

// jumped is who was given less than one place of so many.
const jumped = 8

// Peek reads ahead to tell how dense a list is: it returns how many places were
// read, the last of them, and whether these are all.
func (s *Stored) Peek(from int64, limit int) (n int, last int64, all bool, err error) {
	s.limit = max(s.limit, limit)
	if _, err := s.Next(from); err != nil || len(s.buf) == 0 {
		return 0, End, true, err
	}
	return len(s.buf), s.buf[len(s.buf)-1], s.done, nil
}

// Fixed is a list that is known.
type Fixed []int64

// Next implements [List].
func (f *Fixed) Next(from int64) (int64, error) {
	at, _ := slices.BinarySearch(*f, from)
	*f = (*f)[at:]
	if len(*f) == 0 {
		return End, nil
	}
	return (*f)[0], nil
}

// Union is what is in any of some lists.
type Union struct {
	lists []List
	heads []int64
}

// NewUnion joins lists.
func NewUnion(lists ...List) *Union {
	return &Union{lists: lists, heads: slices.Repeat([]int64{-End}, len(lists))}
}

// Next implements [List].
func (u *Union) Next(from int64) (int64, error) {
	least, settled := int64(End), int64(End)
	var spent error
	for i, head := range u.heads {
		if head < from || head == -End {
			var err error
			switch head, err = u.lists[i].Next(from); {
			case errors.Is(err, ErrSpent):
				settled, spent = min(settled, head), err
				continue
			case err != nil:
				return End, err
			}
			u.heads[i] = head
		}
		least = min(least, head)
	}
	if settled < least {
		return settled, spent
	}
	return least, nil
}

// Both is what is in all of some lists. The shortest should come first.
type Both []List

// Next implements [List].
func (b Both) Next(from int64) (int64, error) {
	for agreed := 0; ; {
		for _, list := range b {
			at, err := list.Next(from)
			if err != nil {
				return max(at, from), err
			}
			if at == End {
				return End, nil
			}
			if at > from {
				from, agreed = at, 0
			}
			if agreed++; agreed == len(b) {
				return from, nil
			}
		}
	}
}
