package madeup

import (
	"fmt"
	"io"
)

// Greet tells a newcomer what is here and what to try. usual is where programs look for a
// bus if nobody says otherwise.
func Greet(w io.Writer, web, usual, inbound, outbound string) {
	at := ""
	if web != usual {
		at = " --bus http://" + web
	}
	fmt.Fprintf(w, `
  A message bus is running, with made-up messages on it. Look at it in a browser:

    http://%[1]s/

    HTTP          http://%[1]s/api/v1/messages   /api/v1/events   /metrics
    ZeroMQ in     %[2]s
    ZeroMQ out    %[3]s

  In a second terminal, try

    go run ./cmd/fedmsg tail --terse%[4]s
    go run ./cmd/fedmsg history package:kernel after:7d%[4]s
    echo "Hello World." | go run ./cmd/fedmsg logger --modname=git --topic=repo.update%[4]s

  Stop it with Ctrl-C.

`, web, inbound, outbound, at)
}
