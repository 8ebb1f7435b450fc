package trigger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	fedmsg "github.com/fedora-infra/fedmsg-go"
)

// Exit statuses with a meaning, as shells and sysexits.h have them.
const (
	statusCannotRun = 126
	statusNotFound  = 127
	statusDataErr   = 65 // the message is at fault: another try is of no use
)

// A Command is a program that is run for messages. They are on its standard input,
// each as canonical JSON in a line of its own. Its environment has of them what is
// harmless in any shell: FEDMSG_TOPIC, FEDMSG_MSG_ID and FEDMSG_SEQ of a single
// message, FEDMSG_COUNT and FEDMSG_ATTEMPT always. A body is never there: it could be
// too long, and scripts could take it for code.
type Command struct {
	// Args are the program and its arguments. See [Shell].
	Args []string
	// Environ is its environment, as os.Environ has it.
	Environ []string
	// Stdout and Stderr get what it writes, as it comes.
	Stdout, Stderr io.Writer
	// Timeout ends a run, with all processes that it began. Default: none.
	Timeout time.Duration
	// Grace is how long these may take to end before they are killed. Default: 5s.
	Grace time.Duration
}

// Shell returns the arguments that have a shell read a line.
func Shell(line string) []string { return []string{"/bin/sh", "-c", line} }

// Status returns the exit status that a shell would give a run of a [Command] that
// failed with err; -1 if it did not end by itself.
func Status(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return statusNotFound
	case errors.Is(err, fs.ErrPermission):
		return statusCannotRun
	}
	return -1
}

// Do runs the command. It is a [Do].
func (c *Command) Do(ctx context.Context, entries []fedmsg.Entry, attempt int) error {
	if c.Timeout > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no end within %s", c.Timeout))
		defer cancel()
		ctx = limited
	}
	input, err := lines(entries)
	if err != nil {
		return err
	}
	cmd := exec.Command(c.Args[0], c.Args[1:]...)
	cmd.Env = append(slices.DeleteFunc(slices.Clone(c.Environ), isOurs), variables(entries, attempt)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), c.Stdout, c.Stderr
	// A process that the command left behind may hold its input or output open.
	cmd.WaitDelay = time.Second
	newGroup(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", context.Cause(ctx), c.end(cmd, ended))
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // it ended well, and what it left behind goes on
	}
	if Status(err) == statusDataErr {
		err = fmt.Errorf("%w: %w", err, ErrGiveUp)
	}
	return err
}

// end ends all processes of a command, and returns how its first one ended.
func (c *Command) end(cmd *exec.Cmd, ended <-chan error) (err error) {
	terminate(cmd)
	grace := time.NewTimer(cmp.Or(c.Grace, 5*time.Second))
	defer grace.Stop()
	look := time.NewTicker(20 * time.Millisecond) // nothing tells when the last of a group has ended
	defer look.Stop()
	first := ended
	for first != nil || isAlive(cmd) {
		select {
		case err = <-first:
			first = nil
		case <-look.C:
		case <-grace.C:
			kill(cmd)
			if first != nil {
				err = <-first
			}
			return cmp.Or(err, errKilled)
		}
	}
	return cmp.Or(err, errEnded)
}

var (
	errKilled = errors.New("it was killed")
	errEnded  = errors.New("it ended when it was told to")
)

// lines are messages in canonical form, each with a newline.
func lines(entries []fedmsg.Entry) (text []byte, err error) {
	for _, e := range entries {
		if text, err = fedmsg.AppendCanonical(text, e.Message.Bytes()); err != nil {
			return nil, fmt.Errorf("message %s: %w: %w", e.Message.ID, err, ErrGiveUp)
		}
		text = append(text, '\n')
	}
	return text, nil
}

// ours are the variables that tell of messages.
var ours = []string{"FEDMSG_TOPIC", "FEDMSG_MSG_ID", "FEDMSG_SEQ", "FEDMSG_COUNT", "FEDMSG_ATTEMPT"}

func isOurs(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains(ours, name)
}

// variables tell of messages what has a grammar. Old messages may break it, and are
// not told of.
func variables(entries []fedmsg.Entry, attempt int) []string {
	values := []string{"FEDMSG_COUNT=" + strconv.Itoa(len(entries)), "FEDMSG_ATTEMPT=" + strconv.Itoa(attempt)}
	if len(entries) != 1 {
		return values
	}
	m := entries[0].Message
	if m.Topic.Validate() == nil {
		values = append(values, "FEDMSG_TOPIC="+string(m.Topic))
	}
	if fedmsg.ValidateID(m.ID) == nil {
		values = append(values, "FEDMSG_MSG_ID="+m.ID)
	}
	if entries[0].Seq > 0 {
		values = append(values, "FEDMSG_SEQ="+strconv.FormatUint(uint64(entries[0].Seq), 10))
	}
	return values
}
