// Package drain lets any Go server scale down and roll out in Kubernetes without losing a request. It needs only the standard library.
//
// A pod terminates in this order: the kubelet calls the preStop hook, and meanwhile proxies learn that the endpoint is terminating. When the hook returns,
// the kubelet sends SIGTERM, and the process ends. The names of the times are those of a GracefulApp:
//
//	t2  the preStop hook           t1  SIGTERM until the process ends
//	R   the longest request        t3  the grace period: t3 after the deletion the kubelet sends SIGKILL
//
// [http.Server.Shutdown] covers only t1, and drops requests that it reads too late. A [Drainer] covers all of it:
//
//   - The preStop hook ([Drainer.PreStop]) returns after t2. From its call on, every response says `Connection: close`, HTTP/2 clients get a GOAWAY that
//     drops no request, and upgraded connections say goodbye in their own protocol ([Drainer.Upgrade]). The server still answers every request.
//   - The server still accepts connections for 2 s after SIGTERM, and for 2 s after each late connection that brings a request, at most until t1 - R:
//     proxies may hear of the deletion later than t2.
//   - Then it accepts the connections that wait in the kernel's queue, answers the requests that clients have sent, closes the connections that have
//     been idle for a second, and waits for the requests in flight, at most t1 after SIGTERM.
//   - A read timeout does not drop a request that has arrived: a process that got no CPU time reads it late.
//
// A GracefulApp sets the times in the environment ([ConfigFromEnv]) and calls the hook. The manifest names the hook and its port, which the Service
// does not target:
//
//	lifecycle: {preStop: {httpGet: {path: /drain, port: admin}}}
//
// The container must run the server as PID 1, because only PID 1 gets SIGTERM.
//
// # Limits
//
// On Linux the package is complete for the TCP and Unix listeners of package net. It closes a listener of another type at once, and the kernel resets
// the connections in its queue. On other systems the package compiles, and a server ends as http.Server.Shutdown ends it: connections in the kernel's
// queue are reset, and a request that arrives unread at the end is dropped.
//
// With TLS an HTTP/2 connection gets only net/http's own GOAWAY, which drops the requests that cross it; Go's client and gRPC retry them. For HTTP/2
// without TLS set http.Server.Protocols: the connections of golang.org/x/net/http2/h2c are hijacked, and the package cannot end them.
//
// A client that sends a request on an idle connection in the moment in which the server closes it loses this request; no HTTP/1.1 server can prevent
// that. A client that pipelines must repeat the requests that follow the one whose response closes the connection (RFC 9112, section 9.3.2).
package drain
