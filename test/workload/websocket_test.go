package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// socketClient is a WebSocket client without logic of its own: it sends only the frames that the test sends.
type socketClient struct {
	t    *testing.T
	conn *websocket.Conn
	in   chan string // messages; closed with the connection
	end  error       // the error that ended the connection
}

func (p *process) openWebSocket() *socketClient {
	p.t.Helper()
	conn, resp, err := (&websocket.Dialer{NetDialContext: p.dial}).Dial("ws://hello/ws", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.Header.Get("X-Served-By") == "" {
		p.t.Error("the answer to the handshake does not name the pod")
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	k := &socketClient{t: p.t, conn: conn, in: make(chan string, 100)}
	conn.SetCloseHandler(func(int, string) error { return nil }) // does not answer the server's Close frame
	go func() {
		defer close(k.in)
		for {
			_, text, err := conn.ReadMessage()
			if err != nil {
				k.end = err
				return
			}
			k.in <- string(text)
		}
	}()
	synctest.Wait() // the handshake's response comes before the server tracks the connection
	return k
}

func (k *socketClient) send(text string) {
	k.t.Helper()
	if err := k.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *socketClient) want(step string, messages ...string) {
	k.t.Helper()
	for _, want := range messages {
		if got, open := <-k.in; got != want || !open {
			k.t.Fatalf("%s: got %q (open: %v, %v), want %q", step, got, open, k.end, want)
		}
	}
	synctest.Wait()
	select {
	case got, open := <-k.in:
		k.t.Fatalf("%s: got %q (open: %v, %v), want no more", step, got, open, k.end)
	default:
	}
}

// sendClose sends the Close frame.
func (k *socketClient) sendClose(code int) {
	k.t.Helper()
	err := k.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(time.Second))
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *socketClient) wantClose(step string, code int) {
	k.t.Helper()
	if text, open := <-k.in; open {
		k.t.Fatalf("%s: got %q, want Close", step, text)
	}
	var closed *websocket.CloseError
	if !errors.As(k.end, &closed) || closed.Code != code {
		k.t.Errorf("%s: ended by %v, want Close %d", step, k.end, code)
	}
}

func TestWebSocketEchoesEachMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		k := p.openWebSocket()
		long := strings.Repeat("x", maxMessage)
		for _, text := range []string{"id=a-1", "hello", "", long, "id=" + strings.Repeat("y", maxID+1)} {
			k.send(text)
			k.want("echo", text)
		}
		k.sendClose(websocket.CloseNormalClosure)
		k.wantClose("the client's Close is answered", websocket.CloseNormalClosure)
		p.end()
		begun, finished, _ := readLedger(t, p.log.String())
		if len(begun) != 1 || begun["a-1"] != 1 || finished["a-1"] != 1 {
			t.Errorf("begun %v, finished %v; want a-1 only", begun, finished)
		}
	})
}

func TestWebSocketSendsGoingAwayAtTheDrainAndStillAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		asked, silent := p.openWebSocket(), p.openWebSocket()
		asked.send("before")
		asked.want("before the drain", "before")
		drained := p.goGet("/drain")
		asked.want("at the drain", goingAway)
		silent.want("no message yet")
		late := p.openWebSocket()
		late.want("opened in the drain, no message yet")
		for step, k := range map[string]*socketClient{"silent": silent, "late": late} {
			k.send("first")
			k.want(step, "first", goingAway)
		}
		asked.send("crosses goingAway")
		asked.want("after goingAway", "crosses goingAway")
		asked.sendClose(websocket.CloseNormalClosure)
		asked.wantClose("the client leaves", websocket.CloseNormalClosure)
		<-drained
		silent.send("still here")
		silent.want("after t2", "still here")
		p.client.CloseIdleConnections()
		p.term()
		for step, k := range map[string]*socketClient{"silent": silent, "late": late} {
			k.wantClose(step+" at SIGTERM", websocket.CloseGoingAway)
			k.sendClose(websocket.CloseGoingAway)
		}
		closed := time.Now()
		p.wantEnded()
		if took := time.Since(closed); took >= closeTimeout {
			t.Errorf("ended %s after the clients had closed, want at once", took)
		}
	})
}

func TestWebSocketClientThatDoesNotCloseDelaysTheExitBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		k := p.openWebSocket()
		p.client.CloseIdleConnections()
		p.term()
		k.wantClose("when the listener is closed", websocket.CloseGoingAway)
		closed := time.Now()
		k.send("id=too-1") // the server may send nothing after its Close frame
		p.wantEnded()
		if took := time.Since(closed); took != closeTimeout {
			t.Errorf("ended %s after the Close frame, want %s", took, closeTimeout)
		}
		if begun, _, _ := readLedger(t, p.log.String()); len(begun) != 0 {
			t.Errorf("begun %v, want none: the server cannot answer it", begun)
		}
	})
}

func TestWebSocketRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, tutorial)
		p.get("/livez")
		if got := p.get("/ws"); got.status != http.StatusBadRequest {
			t.Errorf("a plain GET: status %d, want 400", got.status)
		}
		k := p.openWebSocket()
		k.send(strings.Repeat("x", maxMessage+1))
		k.wantClose("too long a message", websocket.CloseMessageTooBig)
		p.end()
	})
}
