package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTargetsAreReadAsTheyAreWritten(t *testing.T) {
	for _, want := range []Target{
		{Name: "a", URL: "http://198.18.0.1", Rate: 50, Mode: NewConnection},
		{Name: "hello/slow@node-1#3", URL: "http://198.18.0.1/?seconds=0.5&x=y", Rate: 0.5, Mode: KeepAlive, Connections: 200},
		{Name: "post", URL: "http://[fd00::1]:80/", Rate: 1, Mode: KeepAlive, Method: "POST", Body: 2048},
		{Name: "upload", URL: "http://198.18.0.1/", Rate: 1, Mode: KeepAlive, Method: "POST", Body: 100 << 20, Expect: true, Trailers: true},
		{Name: "call", URL: "http://198.18.0.1/lab.Hello/Say?seconds=1", Rate: 1, Mode: GRPC, Connections: 5},
		{Name: "far", URL: "http://198.18.0.1/", Rate: 1, Mode: KeepAlive, Delay: 100 * time.Millisecond},
		{Name: "socket", URL: "http://198.18.0.1/ws", Rate: 1, Mode: WebSocket, Connections: 10},
	} {
		got, err := ParseTarget(want.String())
		if err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestBadTargetTexts(t *testing.T) {
	for name, text := range map[string]string{
		"no name":             "http://127.0.0.1/",
		"no rate":             "a=http://127.0.0.1/,mode=new",
		"a rate in words":     "a=http://127.0.0.1/,rate=many,mode=new",
		"an unknown setting":  "a=http://127.0.0.1/,rate=1,mode=new,colour=red",
		"an unknown mode":     "a=http://127.0.0.1/,rate=1,mode=pipelined",
		"a delay in words":    "a=http://127.0.0.1/,rate=1,mode=new,delay=long",
		"a delayed socket":    "a=http://127.0.0.1/,rate=1,mode=websocket,delay=1s",
		"a body for a GET":    "a=http://127.0.0.1/,rate=1,mode=new,body=1",
		"a GET that expects":  "a=http://127.0.0.1/,rate=1,mode=new,expect",
		"a GET with trailers": "a=http://127.0.0.1/,rate=1,mode=new,trailers",
		"a call of nothing":   "a=http://127.0.0.1/,rate=1,mode=grpc",
		"a service's call":    "a=http://127.0.0.1/lab.Hello,rate=1,mode=grpc",
		"a call that lasts":   "a=http://127.0.0.1/lab.Hello/Say?seconds=31,rate=1,mode=grpc",
		"a call by GET":       "a=http://127.0.0.1/lab.Hello/Say,rate=1,mode=grpc,method=GET",
	} {
		if got, err := ParseTarget(text); err == nil {
			t.Errorf("accepted %s: %+v", name, got)
		}
	}
}
