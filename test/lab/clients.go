package main

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// clientKind is a way in which users send requests. Its rate is per second, shared by all places that it is sent from; a workload gets its
// share of it.
type clientKind struct {
	name  string
	rate  float64
	mode  load.Mode
	via   via
	query string // the path and query; %d is the profile's longest request in seconds
	post  int    // bytes of body; 0 is a GET
	conns int    // connections of each place at the full rate; 0 means usualConns
	// plain: safe with the plain sleep hook too, since no connection outlives a request, or the protocol has a goodbye of its own.
	plain bool
	// unpromised: HTTP/1.1 leaves a race here that no server can close.
	unpromised bool
}

// via is the way to the pods.
type via int

const (
	viaService    via = iota // from a pod on each node to the Service's ClusterIP
	viaNodePort              // from outside of the cluster
	viaNginx                 // through nginx, which keeps connections to the ClusterIP
	viaHAProxy               // through HAProxy, which asks DNS for the pods
	viaSecondPort            // as viaService, to the Service's second port
)

// postBytes is a form or a small JSON document.
const postBytes = 2048

// helloClients at their full rate send 650 requests per second to the app that has to prove most, 1,400 in all. A slow day's machine came to a
// load of 60 with that, and liveness probes timed out, so usualRate is less.
var helloClients = []clientKind{
	{name: "new", rate: 60, mode: load.NewConnection, query: "/?seconds=0", plain: true},
	{name: "slow", rate: 40, mode: load.NewConnection, query: "/?seconds=%d", plain: true},
	{name: "keep-alive", rate: busyRate, mode: load.KeepAlive, query: "/?seconds=0"},
	{name: "slow keep-alive", rate: 20, mode: load.KeepAlive, query: "/?seconds=%d"},
	{name: "stream", rate: 10, mode: load.NewConnection, query: "/stream?seconds=%d", plain: true},
	{name: "POST", rate: 40, mode: load.KeepAlive, query: "/?seconds=0", post: postBytes},
	{name: "h2c", rate: 40, mode: load.H2C, query: "/?seconds=0", conns: 10},
	{name: "WebSocket", rate: 40, mode: load.WebSocket, query: "/ws", conns: 10},
	{name: "from outside", rate: 40, mode: load.NewConnection, query: "/?seconds=0", via: viaNodePort, plain: true},
	{name: "keep-alive outside", rate: 30, mode: load.KeepAlive, query: "/?seconds=0", via: viaNodePort},
	{name: "nginx", rate: 30, mode: load.KeepAlive, query: "/?seconds=0", via: viaNginx},
	{name: "HAProxy", rate: 30, mode: load.KeepAlive, query: "/?seconds=0", via: viaHAProxy},
	// 200 connections at each of two places: each wakes up once in 20 s.
	{name: "idle", rate: 20, mode: load.KeepAlive, query: "/?seconds=0", conns: 200, unpromised: true},
}

// promised tells whether GracefulApp promises a workload's client not to lose anything.
func (c clientKind) promised(w *workload) bool {
	return w.managed && !w.control && !c.unpromised && (w.drainAware || c.plain)
}

// speaks tells whether a workload understands the client.
func (c clientKind) speaks(w *workload) bool { return (c.mode == load.GRPC) == w.grpc }

// sofar is a promised scenario as far as it has come, by what is counted of each client.
func (s suite) sofar(count func(workload, client string) load.Count) report.Scenario {
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

// busyRate is a rate that proves enough even in parts.
const busyRate = 250

// share of the client's rate that a workload gets. Few requests on kept connections meet a pod that comes or goes: so that their rows prove
// something, the control gets all of them.
func (c clientKind) share(w *workload) float64 {
	if w.control && !c.plain && c.rate < busyRate {
		return 1
	}
	return w.share
}

// place is where requests are sent from: a node, in a pod's network or in the node's own, which is outside of the cluster's.
type place struct {
	name    string
	node    string // its hostname label
	outside bool
	entry   string // for a place outside: another node's address
}

// placesOn has two places on each of up to two nodes. What is outside enters through the other node, if there is one.
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

// address of a workload as a client of this kind dials it.
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
		// The last dot spares the searches in other domains.
		return net.JoinHostPort(w.name+"."+namespace+".svc.cluster.local.", strconv.Itoa(helloPort))
	}
	return net.JoinHostPort(a.services[w.name], "80")
}

// addresses are IPs, for a name that is resolved for each connection would make DNS a part of the measurement. A headless Service has no
// other address.
type addresses struct {
	services       map[string]string
	nodePorts      map[string]int32 // 0: none
	secondPorts    map[string]int32 // 0: none
	nginx, haproxy string           // ClusterIPs; "" without these proxies
}

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

// usualConns keep each connection of the slowest kind, at 10 requests per second and place, busy every 2 s: within t2, and so before it is closed.
const usualConns = 20

// connections of a place. They go with the rate: where they do not, a lower rate would make busy connections idle ones, to whom less is promised.
func (c clientKind) connections(w *workload, pace float64) int {
	all := cmp.Or(c.conns, usualConns)
	switch {
	case c.mode == load.NewConnection:
		return 0
	case w.control && !c.unpromised:
		return all // the more there are, the surer one of them meets a pod that goes
	}
	return max(2, int(float64(all)*min(1, c.share(w)*pace)))
}

// targets of one place; their rates are its share. Their names are unique over all rounds, for the servers file the requests by them.
func (s suite) targets(a addresses, p profile, from place, round string) []load.Target {
	var all []load.Target
	for _, w := range s.workloads {
		for _, c := range s.clients {
			if !c.speaks(w) || !a.reach(c, w) || (c.via == viaNodePort) != from.outside {
				continue
			}
			path := c.query
			if strings.Contains(path, "%d") {
				path = fmt.Sprintf(path, p.requestSeconds)
			}
			t := load.Target{
				Name: targetName(w.name, c.name, from.name, round),
				URL:  "http://" + c.address(w, a, from) + path, Mode: c.mode,
				Rate: max(leastRate, c.rate*c.share(w)*s.pace/nodesUsed), Connections: c.connections(w, s.pace),
			}
			if c.post > 0 {
				t.Method, t.Body = "POST", c.post
			}
			all = append(all, t)
		}
	}
	return all
}

// leastRate of a target, per second, at however low a pace: a generator that is told to end still waits for the next request to be due, and for
// its answer, within testbed.LoadgenGraceSeconds.
const leastRate = 0.2

// nodesUsed is how many nodes the load is spread over; on a cluster of one, half of it is missing.
const nodesUsed = 2

// targetName is WORKLOAD/CLIENT@PLACE#ROUND, with no space, as it goes into a header.
func targetName(workload, client, place, round string) string {
	return targetsOf(workload, client) + place + "#" + round
}

// targetsOf is how the names of all targets of a client begin.
func targetsOf(workload, client string) string {
	return workload + "/" + strings.ReplaceAll(client, " ", "_") + "@"
}

// parseTarget is targetName's inverse.
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
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, GenerateName: "loadgen-", Labels: map[string]string{testbed.PartOfLabel: namespace},
		},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{corev1.LabelHostname: from.node},
			HostNetwork:                   from.outside,
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(testbed.LoadgenGraceSeconds)),
			EnableServiceLinks:            new(false),
			Containers: []corev1.Container{{Name: "loadgen", Image: image, Args: args,
				Env: []corev1.EnvVar{onOneProcessor}, Resources: requesting(generatorCPU),
			}},
		},
	}
}
