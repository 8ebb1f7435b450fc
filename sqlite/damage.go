package sqlite

import (
	"fmt"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/sqlite/wal"
)

// checkJournal looks for damage in the journal that SQLite would not report.
//
// When SQLite opens a journal it reads as far as checksums are right, and
// forgets the rest: that is how a transaction ends that was cut off by a loss of
// power. A flipped bit in the middle looks the same to it, and transactions that
// were on disk and acknowledged would vanish without a word. But the next
// transaction is begun only when the one before is on disk, so of those that were
// cut off there is one at most. Two or more ends of transactions behind a wrong
// checksum are damage.
//
// It cannot tell a flipped bit in the very last transaction, or in the header of
// the journal, from one that was cut off.
//
// It must run before SQLite opens the file; see [wal.Lost].
func checkJournal(file string) error {
	lost, err := wal.Lost(file)
	if err == nil && lost > 1 {
		err = &fedmsg.HintError{
			Err:  fmt.Errorf("%s: a checksum is wrong before the last %d transactions: %w", file, lost, ErrDamaged),
			Hint: "restore the log from a backup; or remove this file, to go on without the newest messages",
		}
	}
	return err
}
