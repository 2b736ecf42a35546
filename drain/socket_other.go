//go:build !linux

package drain

import "net"

// readBuffered reads nothing: on this system an unread request is dropped, as http.Server.Shutdown drops it.
func readBuffered(net.Conn, []byte) int { return 0 }

// acceptQueued accepts nothing: on this system the kernel resets the connections in its queue.
func acceptQueued(net.Listener) (net.Conn, error) { return nil, net.ErrClosed }
