package lab

import (
	"cmp"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// clientKind is a kind of client. Its rate is in requests per second, over all places that it sends from. A workload gets a share of the rate.
type clientKind struct {
	name     string
	rate     float64
	mode     load.Mode
	via      via
	query    string        // path and query; %d stands for the profile's longest request in seconds
	post     int           // size of the body of a POST; 0 means GET
	expect   bool          // load.Target.Expect
	trailers bool          // load.Target.Trailers
	only     []string      // the workloads that it sends to; nil means all
	delay    time.Duration // load.Target.Delay
	conns    int           // connections of each place at the full rate; 0 means defaultConns
	interval time.Duration // between two requests on the same connection; 0 means that conns determines it
	// safeWithSleep means that a preStop sleep is enough to lose no request: the client keeps no connection, or its protocol lets the server close
	// one gracefully.
	safeWithSleep bool
	// unpromised means that a server cannot avoid a loss: HTTP/1.1 has a race between a request and the close of an idle connection.
	unpromised bool
}

// via is the path from a client to the pods.
type via int

const (
	viaService    via = iota // from a pod on each node to the ClusterIP of the Service
	viaNodePort              // from outside the cluster to the NodePort of the Service
	viaNginx                 // through nginx, which keeps connections to the ClusterIP
	viaHAProxy               // through HAProxy, which finds the pods through DNS
	viaSecondPort            // like viaService, to the second port of the Service
)

// postBytes is the size of a form or a small JSON document.
const postBytes = 2048

// helloClients are the clients of the usual scenarios. At the full rate they send 650 requests per second to the drain-aware app and 1,400 in all. On a
// slow day that raised the machine's load average to 60, and liveness probes timed out; so usualRate is lower.
var helloClients = []clientKind{
	{name: "new", rate: 60, mode: load.NewConnection, query: "/?seconds=0", safeWithSleep: true},
	{name: "slow", rate: 40, mode: load.NewConnection, query: "/?seconds=%d", safeWithSleep: true},
	{name: "keep-alive", rate: busyRate, mode: load.KeepAlive, query: "/?seconds=0"},
	{name: "slow keep-alive", rate: 20, mode: load.KeepAlive, query: "/?seconds=%d"},
	{name: "stream", rate: 10, mode: load.NewConnection, query: "/stream?seconds=%d", safeWithSleep: true},
	{name: "POST", rate: 40, mode: load.KeepAlive, query: "/?seconds=0", post: postBytes},
	{name: "h2c", rate: 40, mode: load.H2C, query: "/?seconds=0", conns: 10},
	{name: "WebSocket", rate: 40, mode: load.WebSocket, query: "/ws", conns: 10},
	{name: "from outside", rate: 40, mode: load.NewConnection, query: "/?seconds=0", via: viaNodePort, safeWithSleep: true},
	{name: "keep-alive outside", rate: 30, mode: load.KeepAlive, query: "/?seconds=0", via: viaNodePort},
	{name: "nginx", rate: 30, mode: load.KeepAlive, query: "/?seconds=0", via: viaNginx},
	{name: "HAProxy", rate: 30, mode: load.KeepAlive, query: "/?seconds=0", via: viaHAProxy},
	// 200 connections at each of two places: each sends one request per 20 s.
	{name: "idle", rate: 20, mode: load.KeepAlive, query: "/?seconds=0", conns: 200, unpromised: true},
}

// promised reports whether GracefulApp promises to lose no request of the client to the workload, or the workload must lose none for another reason.
func (c clientKind) promised(w *workload) bool {
	// The sidecar does not know the protocol of a WebSocket's messages, so it cannot say goodbye: it ends the connection after t1.
	canSayGoodbye := w.drainAware && (!w.sidecar || c.mode != load.WebSocket)
	return (w.managed || w.lossless) && !w.control && !c.unpromised && (canSayGoodbye || c.safeWithSleep)
}

// sendsTo reports whether the client sends to the workload, which must serve its protocol.
func (c clientKind) sendsTo(w *workload) bool {
	return (c.mode == load.GRPC) == w.grpc && (c.only == nil || slices.Contains(c.only, w.name))
}

// partialResult returns the result so far of a promised scenario. count returns the counts of a client.
func (s suite) partialResult(count func(workload, client string) load.Count) report.Scenario {
	found := report.Scenario{Promised: true}
	for _, w := range s.workloads {
		out := report.Workload{Name: w.name, Control: w.control}
		for _, c := range s.clients {
			if n := count(w.name, c.name); n.Requests > 0 {
				out.Rows = append(out.Rows, report.Row{Client: c.name, Promised: c.promised(w), Count: n})
			}
		}
		found.Workloads = append(found.Workloads, out)
	}
	return found
}

// busyRate is a rate at which even a share of the requests proves enough.
const busyRate = 250

// share returns the workload's share of the client's rate. Few requests on keep-alive connections meet a pod that starts or terminates. The control
// gets the full rate of such a client, so that it loses some.
func (c clientKind) share(w *workload) float64 {
	if w.control && !c.safeWithSleep && c.rate < busyRate {
		return 1
	}
	return w.share
}

// place is the origin of requests: a node, either in the network of a pod or in the network of the node, which is outside the cluster.
type place struct {
	name    string
	node    string // hostname label of the node
	outside bool
	entry   string // for an outside place: address of the node through which it enters
}

// placesOn returns two places on each of up to two nodes. Requests from outside use the NodePort of the other node, if there is one.
func placesOn(nodes []corev1.Node) []place {
	nodes = nodes[:min(len(nodes), 2)]
	var all []place
	for i, n := range nodes {
		host := n.Labels[corev1.LabelHostname]
		all = append(all, place{name: host, node: host},
			place{name: "outside-" + host, node: host, outside: true, entry: internalIP(nodes[len(nodes)-1-i])})
	}
	return all
}

func internalIP(n corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}

// address returns the address at which this kind of client reaches the workload.
func (c clientKind) address(w *workload, a addresses, from place) string {
	switch c.via {
	case viaNodePort:
		return net.JoinHostPort(from.entry, strconv.Itoa(int(a.nodePorts[w.name])))
	case viaNginx:
		return net.JoinHostPort(a.nginx, strconv.Itoa(int(w.port)))
	case viaHAProxy:
		return net.JoinHostPort(a.haproxy, strconv.Itoa(int(w.port)))
	case viaSecondPort:
		return net.JoinHostPort(a.services[w.name], strconv.Itoa(int(a.secondPorts[w.name])))
	}
	if a.services[w.name] == corev1.ClusterIPNone {
		// The final dot avoids DNS lookups in the search domains.
		return net.JoinHostPort(w.name+"."+namespace+".svc.cluster.local.", strconv.Itoa(helloPort))
	}
	return net.JoinHostPort(a.services[w.name], "80")
}

// addresses are the addresses of the workloads. They are IPs, because with host names each new connection would also measure DNS. Only a headless
// Service needs its name.
type addresses struct {
	services       map[string]string
	nodePorts      map[string]int32 // 0 means none
	secondPorts    map[string]int32 // 0 means none
	nginx, haproxy string           // ClusterIPs of the proxies, or ""
}

// reach reports whether the client has a path to the workload.
func (a addresses) reach(c clientKind, w *workload) bool {
	switch c.via {
	case viaNodePort:
		return a.nodePorts[w.name] != 0
	case viaSecondPort:
		return a.secondPorts[w.name] != 0
	case viaNginx:
		return a.nginx != ""
	case viaHAProxy:
		return a.haproxy != ""
	}
	return true
}

// defaultConns is the number of connections of a place. The slowest client sends 10 requests per second and place, so each connection is used every 2 s:
// within t2, and thus before the server closes it.
const defaultConns = 20

// connections returns the number of connections of a place. It is proportional to the rate. Otherwise busy connections would be idle at a low rate, and
// GracefulApp promises less for idle connections. perPlace is the client's rate in requests per second.
func (c clientKind) connections(w *workload, pace, perPlace float64) int {
	all := cmp.Or(c.conns, defaultConns)
	switch {
	case c.mode == load.NewConnection:
		return 0
	case c.interval > 0:
		return int(math.Ceil(perPlace * c.interval.Seconds()))
	case w.control && w.mustLose == "" && !c.unpromised: // the steps of the tutorial have the same clients
		return all // more connections make it more likely that one meets a terminating pod
	}
	return max(2, int(float64(all)*min(1, c.share(w)*pace)))
}

// targets returns the targets of one place, with its share of the rates. Their names are unique over all rounds, because the servers' ledgers use them.
func (s suite) targets(a addresses, p profile, from place, round string) []load.Target {
	var all []load.Target
	for _, w := range s.workloads {
		for _, c := range s.clients {
			if !c.sendsTo(w) || !a.reach(c, w) || (c.via == viaNodePort) != from.outside {
				continue
			}
			path := c.query
			if strings.Contains(path, "%d") {
				path = fmt.Sprintf(path, p.requestSeconds)
			}
			rate := max(minRate, c.rate*c.share(w)*s.pace/nodesUsed)
			t := load.Target{
				Name: targetName(w.name, c.name, from.name, round),
				URL:  "http://" + c.address(w, a, from) + path, Mode: c.mode,
				Rate: rate, Connections: c.connections(w, s.pace, rate), Delay: c.delay,
			}
			if c.post > 0 {
				t.Method, t.Body, t.Expect, t.Trailers = "POST", c.post, c.expect, c.trailers
			}
			all = append(all, t)
		}
	}
	return all
}

// minRate is the lowest rate of a target per second. After SIGTERM a generator waits until the next request is due and answered, which must take less
// than testbed.LoadgenGraceSeconds.
const minRate = 0.2

// nodesUsed is the number of nodes that the load is spread over. A cluster with one node gets half of the load.
const nodesUsed = 2

// targetName returns WORKLOAD/CLIENT@PLACE#ROUND. It has no space, because it is sent in a header.
func targetName(workload, client, place, round string) string {
	return targetPrefix(workload, client) + place + "#" + round
}

// targetPrefix returns the prefix of the names of all targets of a client.
func targetPrefix(workload, client string) string {
	return workload + "/" + strings.ReplaceAll(client, " ", "_") + "@"
}

// parseTarget returns the workload and the client of a target name.
func parseTarget(name string) (workload, client string) {
	workload, rest, _ := strings.Cut(name, "/")
	client, _, _ = strings.Cut(rest, "@")
	return workload, strings.ReplaceAll(client, "_", " ")
}

func loadgen(from place, image string, all []load.Target) *corev1.Pod {
	var args []string
	for _, t := range all {
		args = append(args, "--target", t.String())
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "loadgen-"},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{corev1.LabelHostname: from.node},
			HostNetwork:                   from.outside,
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(testbed.LoadgenGraceSeconds)),
			EnableServiceLinks:            new(false),
			Containers: []corev1.Container{{Name: "loadgen", Image: image, Args: args,
				Env: []corev1.EnvVar{singleProcessor}, Resources: requesting(generatorCPU),
			}},
		},
	}
}
