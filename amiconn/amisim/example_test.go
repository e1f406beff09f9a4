package amisim_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ami-nats-bridge/ami-nats-bridge/amiconn/amisim"
)

// A script says what goes wrong and when: here the first Ping is answered to
// an ActionID that nobody used, the second is cut in the middle.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	network := amisim.NewNetwork()
	l, err := network.Listen("pbx1:5038")
	if err != nil {
		fmt.Println(err)
		return
	}
	pbx := amisim.New(amisim.Config{Users: map[string]string{"bridge": "secret"}, WriteTimeout: time.Minute})
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if err := pbx.Serve(ctx, l); err != nil {
			fmt.Println(err)
		}
	})
	defer cancel()

	pbx.Next("Login", func(s *amisim.Session, a *amisim.Action) {
		s.Write([]byte("Event: Unexpected\r\n\r\n"))
		s.Serve(a)
	})
	pbx.Next("Ping", amisim.WithActionID("nobody-1"), amisim.CutAfter(19))

	conn, err := network.DialContext(ctx, "tcp", "pbx1:5038")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "Action: Login\r\nUsername: bridge\r\nSecret: secret\r\nEvents: off\r\n\r\n")
	fmt.Fprint(conn, "Action: Ping\r\nActionID: 1\r\n\r\nAction: Ping\r\nActionID: 2\r\n\r\n")
	received, err := io.ReadAll(conn)
	if err != nil {
		fmt.Println(err)
		return
	}
	for line := range linesWithoutTime(string(received)) {
		fmt.Println(line)
	}
	// Output:
	// Asterisk Call Manager/11.0.0
	// Event: Unexpected
	//
	// Response: Success
	// Message: Authentication accepted
	//
	// Response: Success
	// ActionID: nobody-1
	// Ping: Pong
	//
	// Response: Success
}
