package fedmsgtest_test

import (
	"bytes"
	"testing"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/fedmsgtest"
)

func TestMessage(t *testing.T) {
	seen := make(map[string]int)
	for i := range 1000 {
		m := fedmsgtest.Message(i)
		if _, err := fedmsg.Decode(m.Bytes()); err != nil {
			t.Fatalf("Decode(Message(%d)) = %v\n%s", i, err, m.Bytes())
		}
		if again := fedmsgtest.Message(i); !bytes.Equal(again.Bytes(), m.Bytes()) {
			t.Fatalf("Message(%d) is once\n%s\nand once\n%s", i, m.Bytes(), again.Bytes())
		}
		if j, ok := seen[m.ID]; ok {
			t.Fatalf("messages %d and %d have the ID %s", i, j, m.ID)
		}
		seen[m.ID] = i
	}
}

func TestMessageSized(t *testing.T) {
	for _, size := range []int{300, 1000, 100_000, fedmsg.MaxMessageSize} {
		if got := len(fedmsgtest.MessageSized(7, size).Bytes()); got != size {
			t.Errorf("MessageSized(7, %d) has %d bytes", size, got)
		}
	}
}
