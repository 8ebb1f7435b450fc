package client_test

import (
	"context"
	"fmt"
	"log"

	fedmsg "github.com/fedora-infra/fedmsg-go"
	"github.com/fedora-infra/fedmsg-go/client"
)

// exampleBus stands for a bus that runs already: fedmsg serve.
func exampleBus() (url string, stop func() error) {
	b, err := startBus(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	return b.http, b.stop
}

// Publish a value under a topic.
func ExampleBus_Publish() {
	url, stop := exampleBus()
	defer stop()
	ctx := context.Background()

	bus, err := client.Open(ctx, url)
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := bus.Publish(ctx, "test", "testing", map[string]any{"test": "Hello World"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.Topic, receipt.Seq)
	// Output: org.fedoraproject.dev.test.testing 1
}

// Loop over messages.
func ExampleBus_Tail() {
	url, stop := exampleBus()
	defer stop()
	ctx := context.Background()

	bus, err := client.Open(ctx, url)
	if err != nil {
		log.Fatal(err)
	}
	bus.Publish(ctx, "test", "testing", map[string]any{"test": "Hello World"})

	begin := fedmsg.Seq(0)
	for entry, err := range bus.Tail(ctx, client.TailConfig{After: &begin}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.Message.Topic, string(entry.Message.Body))
		break // or go on for ever
	}
	// Output: org.fedoraproject.dev.test.testing {"test":"Hello World"}
}
