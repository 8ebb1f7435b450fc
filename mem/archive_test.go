package mem_test

import (
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest/naive"
	"github.com/fedora-infra/fedmsg-go/mem"
)

func TestArchive(t *testing.T) {
	fedmsgtest.TestArchive(t, func(_ *testing.T, words fedmsg.Describer) fedmsgtest.Archive {
		return mem.NewArchive(naive.Match, words)
	})
}
