package drain_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/gracefulapp/gracefulapp/drain"
)

// A complete program with two servers. The app has port 8080. The preStop hook is on port 8081, which the Service does not target.
func Example() {
	// SIGINT is Ctrl+C. After the first signal, stop makes a second one end the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	context.AfterFunc(ctx, stop)
	config, err := drain.ConfigFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	drainer := drain.New(config)

	// The admin server is a plain one, so its requests do not prolong the shutdown. It serves until the process ends.
	admin := http.NewServeMux()
	admin.Handle("/drain", drainer.PreStop())
	go func() {
		log.Print((&http.Server{Addr: ":8081", Handler: admin, ReadHeaderTimeout: 10 * time.Second}).ListenAndServe())
		stop() // without the hook the app's server should not go on; it answers its requests
	}()

	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {}) // ready as long as it serves, also while it drains
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "hello") })
	server := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 620 * time.Second}
	if err := drainer.ListenAndServe(ctx, server); err != nil {
		log.Fatal(err) // could not listen, or requests were cut off
	}
}

// SIGTERM is the end of the context. The request in flight is answered, with `Connection: close`.
func ExampleDrainer_Serve() {
	drainer := drain.New(drain.Config{Shutdown: 10 * time.Second, Log: slog.New(slog.DiscardHandler)})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, sigterm := context.WithCancel(context.Background())
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		sigterm()
		for drainer.Stats().State != drain.ShuttingDown {
			time.Sleep(time.Millisecond)
		}
		_, _ = io.WriteString(w, "answered")
	})}
	ended := make(chan error)
	go func() { ended <- drainer.Serve(ctx, server, listener) }()

	response, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	fmt.Printf("%s, close: %v, %v\n", body, response.Close, err)
	fmt.Println("ended:", <-ended)
	// Output:
	// answered, close: true, <nil>
	// ended: <nil>
}
