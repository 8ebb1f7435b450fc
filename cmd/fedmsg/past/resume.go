package past

import (
	"context"
	"errors"
	"fmt"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// unknownPlaces is how many places a log may have given beyond what its archive holds,
// when the log was lost. Nobody knows how many it were; a million that the archive had
// not taken yet are weeks of a busy bus.
const unknownPlaces = 1_000_000

// begin opens the archive, as that of the log. A log that ends before the archive does,
// since it was lost or put back from a back-up, has given places already that it would
// give again: it goes on after them. A new log takes the place of the one before it, with
// its epoch, so that who followed that one can go on.
func (k *Keeper) begin(ctx context.Context) (Opened, error) {
	state, err := k.log.State(ctx)
	if err != nil {
		return nil, err
	}
	epoch := state.Epoch
	if state.Last == 0 {
		epoch = ""
	}
	archive, err := k.open(ctx, epoch)
	if err != nil {
		return nil, err
	}
	if archive.Last() > state.Last {
		if err := k.resume(ctx, archive, state); err == nil {
			return archive, nil
		} else {
			k.logger.ErrorContext(ctx, "the log cannot go on after the archive, and gives places again", "archived", archive.Last(), "last", state.Last, "err", err)
		}
	}
	if epoch == state.Epoch || archive.Epoch() == state.Epoch {
		return archive, nil
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return k.open(ctx, state.Epoch)
}

// resumeTries is how often it is tried while others append to the log.
const resumeTries = 10

// resume has the log go on after what it surely never gave. What it holds and the archive
// has not is given to the archive first.
func (k *Keeper) resume(ctx context.Context, archive Opened, state fedmsg.LogState) error {
	to := archive.Last() + unknownPlaces
	k.logger.ErrorContext(ctx, "the log is behind the archive: it ends before places that it gave already; it goes on after them, and what is before is read from the archive",
		"archived", archive.Last(), "last", state.Last, "epoch", archive.Epoch(), "after", to)
	var err error
	for range resumeTries {
		if err = k.rescue(ctx, archive, state); err != nil {
			return fmt.Errorf("store what only the log has: %w", err)
		}
		if err = k.log.Resume(ctx, archive.Epoch(), state.Last, to); err == nil {
			break
		}
		if !errors.Is(err, fedmsg.ErrInvalid) { // or something was appended meanwhile
			return err
		}
		last := state.Last
		if state, err = k.log.State(ctx); err != nil {
			return err
		}
		if state.Last == last {
			return fmt.Errorf("epoch %q: %w", archive.Epoch(), fedmsg.ErrInvalid)
		}
	}
	if err != nil {
		return err
	}
	k.resumed.Store(uint64(to))
	return archive.Skip(ctx, to)
}

// rescue gives to the archive what came into the log after it was put back: without
// places, since the archive has other messages at them. It looks from the end of the log
// back to where both are the same.
func (k *Keeper) rescue(ctx context.Context, archive Opened, state fedmsg.LogState) error {
	for upTo, shared := state.Last, false; upTo >= state.First && !shared; {
		after := max(state.First, upTo-min(upTo, fillPart)+1) - 1
		for at := after; at < upTo; {
			entries, next, err := k.log.Page(ctx, at, int(upTo-at))
			if err != nil || next == at {
				return err
			}
			at = next
			var lost []fedmsg.Entry
			for _, e := range entries {
				switch found, err := archive.Find(ctx, e.Message.ID); {
				case errors.Is(err, fedmsg.ErrNotFound):
					e.Seq = 0
					lost = append(lost, e)
				case err != nil:
					return err
				case found.Seq == e.Seq:
					shared = true // and all before it
				}
			}
			if _, err := archive.Deliver(ctx, lost); err != nil {
				return err
			}
			if len(lost) > 0 {
				k.logger.WarnContext(ctx, "the archive takes what only the log has", "messages", len(lost))
			}
		}
		upTo = after
	}
	return nil
}
