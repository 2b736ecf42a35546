// Package load puts a steady load on a URL and says of each request what became of it.
//
//	client.go   checks a target and sends: an open loop, a number per request, no hidden retries
//	http.go, attempt.go      over HTTP, watching each request on its way through net/http
//	grpc.go     makes a gRPC call of an HTTP request, and judges its answer
//	websocket.go, socket.go  over WebSocket, a message for a request
//	conn.go     what a connection knows of the requests on it
//	verdict.go  judges: what is lost; which phase of a run it was lost in. Pure
//	ledger.go   keeps a record of every request
//	stream.go   the lines that a load generator in a pod prints for whoever runs it
//
// The loop is open: request n is due at n/rate, whether or not the ones before have been answered, for users do not wait for each
// other. Latency counts from when the request was due, not from when the client got round to it (coordinated omission). A client that
// cannot keep its rate says so: see Record.Late.
package load
