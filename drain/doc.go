// Package drain lets any Go server scale down and roll out in Kubernetes without losing a request. It needs only the standard library. Its example
// (example_test.go; go doc does not print it) is a complete program with the app's server and an admin server.
//
// The kubelet ends a pod in this order: it calls the preStop hook, sends SIGTERM when the hook has returned, and sends SIGKILL if the process has not ended
// in time. The times, in their order:
//
//	t2  Config.PreStop                 the preStop hook; meanwhile proxies learn that the endpoint is terminating
//	t1  Config.Shutdown                SIGTERM until the process ends
//	R   Config.Request                 the longest request, at most t1
//	t3  Config.TerminationGracePeriod  the deletion until SIGKILL, more than t2 + t1
//
// [http.Server.Shutdown] covers only t1, and it closes a connection that seems idle even if the client's next request has arrived and only waits to be read.
// A [Drainer] covers all of it:
//
//   - The preStop hook ([Drainer.PreStop]) returns after t2. From its call on, every response says `Connection: close`, HTTP/2 clients get a GOAWAY that
//     drops no request, and upgraded connections say goodbye in their own protocol ([Drainer.Upgrade]). The server still answers every request.
//   - The server still accepts connections for 2 s after SIGTERM, and for 2 s after each late connection that brings a request, at most until t1 - R:
//     proxies may hear of the deletion later than t2.
//   - Then it accepts the connections that wait in the kernel's queue, answers the requests that clients have sent, closes the connections that have
//     been idle for a second, and waits for the requests in flight, at most t1 after SIGTERM.
//   - A read timeout does not drop a request that has arrived: a process that got no CPU time reads it late.
//
// # In a pod
//
// A GracefulApp, a custom resource of the GracefulApp operator, derives the times from R and sets t3 and the environment of [ConfigFromEnv]. The package
// works without the operator too: then set them yourself. In both cases the manifest names the hook and its port, which the Service does not target:
//
//	spec:
//	  terminationGracePeriodSeconds: 30 # t3; a GracefulApp sets it
//	  containers:
//	  - name: app
//	    ports: [{name: http, containerPort: 8080}, {name: admin, containerPort: 8081}]
//	    readinessProbe: {httpGet: {path: /readyz, port: http}}
//	    lifecycle: {preStop: {httpGet: {path: /drain, port: admin}}}
//
// A readiness probe should succeed as long as the server answers, also during the drain. The package does not need one to fail: Kubernetes itself marks
// the endpoint of a deleted pod, and if all endpoints of a Service are terminating, it still sends requests to the ready ones.
//
// The server must be PID 1 of its container, because only PID 1 gets SIGTERM. Use the exec form in the Dockerfile, ENTRYPOINT ["/server"]: with the form
// ENTRYPOINT /server a shell may be PID 1, and it does not pass SIGTERM on.
//
// # Limits
//
// On Linux the package is complete for the TCP and Unix listeners of package net. When a listener of another type is closed, the kernel resets the
// connections in its queue. On other systems that holds for every listener, and a request that is unread at the end is dropped.
//
// With TLS an HTTP/2 connection gets only net/http's own GOAWAY, which drops the requests that cross it; Go's client and gRPC retry them. For HTTP/2
// without TLS set http.Server.Protocols: the connections of golang.org/x/net/http2/h2c are hijacked, and the package cannot end them.
//
// A client that sends a request on an idle connection in the moment in which the server closes it loses this request; no HTTP/1.1 server can prevent
// that. A client that pipelines must repeat the requests that follow the one whose response closes the connection (RFC 9112, section 9.3.2).
package drain
