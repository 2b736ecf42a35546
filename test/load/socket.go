package load

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// socket is one WebSocket connection.
type socket struct {
	ws  *websocket.Conn
	pod string

	mu      sync.Mutex // gorilla/websocket allows one writer at a time
	pending map[string]chan error
	bye     bool // the server has sent a goodbye, or the connection has ended: no more messages are sent
}

func (c *socket) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.bye
}

// errGoodbye means that the message was not sent because the server has sent a goodbye.
var errGoodbye = errors.New("the server has sent a goodbye")

// send sends a message. The channel receives nil when the server has echoed it, or the error that prevented the echo.
func (c *socket) send(text string) (<-chan error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bye {
		return nil, errGoodbye
	}
	answer := make(chan error, 1)
	c.pending[text] = answer
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		delete(c.pending, text)
		return nil, err
	}
	return answer, nil
}

// errServerClosed means that the server closed the WebSocket before it had echoed all messages.
var errServerClosed = errors.New("the WebSocket was closed with messages unanswered")

// read receives messages until the connection ends, and then fails all messages that have no echo.
func (c *socket) read() {
	defer func() { _ = c.ws.Close() }()
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			c.end(err)
			return
		}
		c.receive(string(text))
	}
}

func (c *socket) receive(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.pending[text]; answer != nil {
		answer <- nil
		delete(c.pending, text)
	} else if !strings.HasPrefix(text, socketIDPrefix) {
		c.bye = true
	}
	c.closeIfDone()
}

// closeIfDone sends a Close frame after a goodbye, once all messages are echoed.
func (c *socket) closeIfDone() {
	if c.bye && len(c.pending) == 0 {
		text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = c.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(dialTimeout)) // if this fails, the server closes the connection anyway
	}
}

func (c *socket) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bye = true
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		err = fmt.Errorf("%w (%w)", errServerClosed, err)
	}
	for text, answer := range c.pending {
		answer <- err
		delete(c.pending, text)
	}
}
