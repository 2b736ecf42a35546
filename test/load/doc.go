// Package load sends requests to a URL at a constant rate and records the outcome of each request.
//
//	client.go                checks a target and sends its requests
//	http.go, attempt.go      sends over HTTP and traces each request through net/http
//	grpc.go                  encodes a gRPC call as an HTTP request and checks its response
//	websocket.go, socket.go  sends each request as a WebSocket message
//	conn.go                  a connection that knows whether a server may have begun its requests
//	delay.go                 simulates a client that is far away
//	verdict.go               decides whether a request was lost, and in which phase of a run; pure
//	ledger.go                keeps a record of each request
//	stream.go                the output format of the load generator's pod
//
// The loop is open: request n is due at n/rate, whether or not the earlier requests have been answered, because users do not wait for each
// other. Latency is measured from the time at which the request was due, not from the time at which it was sent; this avoids coordinated
// omission. Record.Late shows whether a client kept its rate.
package load
