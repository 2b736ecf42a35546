package load

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// socket is one connection.
type socket struct {
	ws  *websocket.Conn
	pod string

	mu      sync.Mutex // gorilla's connection takes one writer at a time
	pending map[string]chan error
	bye     bool // no further message is to be sent
}

func (c *socket) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.bye
}

// errLeft: nothing was sent, for the server has said goodbye.
var errLeft = errors.New("the server has said goodbye")

// ask sends a message; the channel tells when it has come back, or why it will not.
func (c *socket) ask(text string) (<-chan error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bye {
		return nil, errLeft
	}
	answer := make(chan error, 1)
	c.pending[text] = answer
	if err := c.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		delete(c.pending, text)
		return nil, err
	}
	return answer, nil
}

// errServerClosed: the server's Close, or the end of the connection, came before the answer.
var errServerClosed = errors.New("the WebSocket was closed with messages unanswered")

// read takes the answers until the connection ends, and then tells all that still wait.
func (c *socket) read() {
	defer func() { _ = c.ws.Close() }()
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			c.end(err)
			return
		}
		c.take(string(text))
	}
}

func (c *socket) take(text string) {
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

// closeIfDone answers a goodbye as soon as nothing is due any more.
func (c *socket) closeIfDone() {
	if c.bye && len(c.pending) == 0 {
		text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = c.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(dialTimeout)) // the server ends the connection anyway
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
