package segment

import (
	"slices"
)

// A Revision is what a message that is stored is found by from now on; Terms and
// Lists are as in a [Draft].
type Revision struct {
	Row   *Row
	Terms []Name
	Lists [3]int
}

// Revise changes what messages are found by. It returns how many had been found
// otherwise.
func (w *Writer) Revise(revisions []Revision) (changed int64, err error) {
	unknown := make(map[Name]struct{})
	for _, r := range revisions {
		for _, n := range r.Terms {
			if _, known := w.ids[n]; !known {
				unknown[n] = struct{}{}
			}
		}
	}
	if err := w.intern(unknown); err != nil {
		return 0, err
	}
	for _, r := range revisions {
		ids := make([]int64, len(r.Terms))
		for i, n := range r.Terms {
			ids[i] = w.ids[n]
		}
		lists := ids[4:]
		users, packages, objects := lists[:r.Lists[0]], lists[r.Lists[0]:r.Lists[0]+r.Lists[1]], lists[r.Lists[0]+r.Lists[1]:]
		old := r.Row
		if old.Agent == ids[2] && slices.Equal(old.Users, users) && slices.Equal(old.Packages, packages) && slices.Equal(old.Objects, objects) {
			continue
		}
		if changed++; changed == 1 { // what is taken out of lists must be in them
			if err := w.Settle(); err != nil {
				return 0, err
			}
		}
		for _, list := range []struct {
			kind     int64
			old, now []int64
		}{{AgentKind, []int64{old.Agent}, ids[2:3]}, {UserKind, old.Users, users}, {PackageKind, old.Packages, packages}, {ObjectKind, old.Objects, objects}} {
			if err := w.exchange(old.K, list.kind, list.old, list.now); err != nil {
				return 0, err
			}
		}
		w.packs = append(w.packs, &Row{K: old.K, Topic: old.Topic, Category: old.Category, Agent: ids[2], Users: users, Packages: packages, Objects: objects})
		if err := w.Exec("UPDATE {msg} SET agent = ?, terms = ? WHERE k = ?", ids[2], appendIDs(nil, users, packages, objects), old.K); err != nil {
			return 0, err
		}
	}
	return changed, nil
}

// exchange takes a message out of the lists that it was in, and puts it into those
// that it belongs to now.
func (w *Writer) exchange(k, kind int64, old, now []int64) error {
	for _, id := range old {
		if slices.Contains(now, id) {
			continue
		}
		if err := w.Exec("DELETE FROM {post} WHERE term = ? AND k = ?", id, k); err != nil {
			return err
		}
		w.count(kind, id, k, -1)
		w.shrunk[id] = true
	}
	nobody := w.ids[Name{AgentKind, ""}] // has no list
	for _, id := range now {
		if slices.Contains(old, id) {
			continue
		}
		w.count(kind, id, k, 1)
		if id != nobody || nobody == 0 {
			w.post = append(w.post, [2]int64{id, k})
		}
	}
	return nil
}

// shrink sets right what a transaction that took messages out of lists left behind:
// bounds of terms that may be narrower now, and counts that are 0.
func (w *Writer) shrink() error {
	for id := range w.shrunk {
		err := w.Exec(`UPDATE {term} SET first = coalesce((SELECT min(k) FROM {post} WHERE term = ?), 0),
			last = coalesce((SELECT max(k) FROM {post} WHERE term = ?), 0) WHERE id = ?`, id, id, id)
		if err != nil {
			return err
		}
	}
	for key := range w.days {
		if !w.shrunk[key[2]] {
			continue
		}
		if err := w.Exec("DELETE FROM {roll_day} WHERE kind = ? AND day = ? AND term = ? AND n = 0", key[0], key[1], key[2]); err != nil {
			return err
		}
	}
	return nil
}
