package segment

import (
	"database/sql"
	"slices"
	"strings"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Category is the fourth word of a topic, or empty.
func Category(t fedmsg.Topic) string {
	for range 3 {
		_, rest, _ := strings.Cut(string(t), ".")
		t = fedmsg.Topic(rest)
	}
	word, _, _ := strings.Cut(string(t), ".")
	return word
}

// FromFourth is a topic without its first three words.
func FromFourth(topic string) string {
	for range 3 {
		_, topic, _ = strings.Cut(topic, ".")
	}
	return topic
}

// manyTerms are as many as it takes to read all of a kind sooner than to look for
// each.
const manyTerms = 1000

// TermNames returns the names of some terms of one kind, by their numbers.
func (p Part) TermNames(kind int64, ids []int64) (map[int64]string, error) {
	names := make(map[int64]string, len(ids))
	if len(ids) >= manyTerms {
		wanted := make(map[int64]bool, len(ids))
		for _, id := range ids {
			wanted[id] = true
		}
		return names, p.terms("WHERE kind = ?", []any{kind}, func(id int64, name string) {
			if wanted[id] {
				names[id] = name
			}
		})
	}
	for some := range slices.Chunk(ids, maxLookup) {
		err := p.terms("WHERE id IN ("+Marks(Padded(len(some)), 1)+")", Pad(some), func(id int64, name string) { names[id] = name })
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

// TermIDs returns the numbers of the terms of one kind that have some names.
func (p Part) TermIDs(kind int64, names []string) (map[string]int64, error) {
	ids := make(map[string]int64, len(names))
	if len(names) >= manyTerms {
		wanted := make(map[string]bool, len(names))
		for _, name := range names {
			wanted[name] = true
		}
		return ids, p.terms("WHERE kind = ?", []any{kind}, func(id int64, name string) {
			if wanted[name] {
				ids[name] = id
			}
		})
	}
	for some := range slices.Chunk(names, maxLookup) {
		args := []any{kind}
		for i := range Padded(len(some)) {
			args = append(args, some[min(i, len(some)-1)])
		}
		err := p.terms("WHERE kind = ? AND name IN ("+Marks(len(args)-1, 1)+")", args, func(id int64, name string) { ids[name] = id })
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (p Part) terms(where string, args []any, each func(id int64, name string)) error {
	return p.Query("SELECT id, name FROM {term} "+where, args, func(rows *sql.Rows) error {
		var id int64
		var name string
		err := rows.Scan(&id, &name)
		each(id, name)
		return err
	})
}

// TopicCount returns how many topics there are.
func (s *Segment) TopicCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.topics)
}
