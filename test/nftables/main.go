// Command nftables shows that a new connection to a Service may be refused while kube-proxy, in nftables mode, replaces the Service's rule.
//
// It runs as root, in its own network namespace, and connects only to the loopback interface of that namespace:
//
//	go run -C test ./nftables
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	service   = "10.96.0.10:80"
	endpointA = "127.0.0.1:8081"
	endpointB = "127.0.0.1:8082"
	// insideVariable tells the program that it runs in its network namespace.
	insideVariable = "NFTABLES_INSIDE"
	clients        = 4
)

// table has the chains and maps of kube-proxy's table that a connection to a ClusterIP passes.
const table = `
table ip demo {
	map endpoints {
		typeof numgen random mod 2 : ip daddr . tcp dport
	}
	chain nat-output {
		type nat hook output priority -100;
		ip daddr 10.96.0.10 tcp dport 80 goto service
	}
	chain service {
	}
}
`

const (
	// endpoints are the two of the Service, as the elements of a map.
	endpoints = "{ 0 : 127.0.0.1 . 8081, 1 : 127.0.0.1 . 8082 }"
	rule      = "flush chain ip demo service; add rule ip demo service meta l4proto tcp dnat ip addr . port to numgen random mod 2 map "
	// anonymousMap is kube-proxy's: writeServiceToEndpointDNATs in pkg/proxy/nftables/proxier.go of Kubernetes 1.37.
	anonymousMap = rule + endpoints
	namedMap     = "flush map ip demo endpoints; add element ip demo endpoints " + endpoints + "; " + rule + "@endpoints"
)

// form is a form of a Service's rule, with the transaction by which a change of the endpoints replaces it; "" for none.
type form struct{ name, rule, change string }

var forms = []form{
	{name: "anonymous map, left alone", rule: anonymousMap, change: ""},
	{name: "anonymous map, replaced", rule: anonymousMap, change: anonymousMap},
	{name: "named map, replaced", rule: namedMap, change: namedMap},
}

func main() {
	seconds := flag.Int("seconds", 20, "how long each form of the rule is measured")
	flag.Parse()
	run := enterNamespace
	if os.Getenv(insideVariable) != "" {
		run = func() error { return measureAll(time.Duration(*seconds) * time.Second) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// enterNamespace starts the program again in a network namespace of its own.
func enterNamespace() error {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("in a network namespace of its own, which needs root: %w", err)
	}
	return nil
}

func measureAll(duration time.Duration) error {
	err := errors.Join(output("ip", "link", "set", "lo", "up"), output("ip", "address", "add", "10.96.0.10/32", "dev", "lo"), nft(table))
	if err != nil {
		return err
	}
	for _, address := range []string{endpointA, endpointB} {
		if err := serve(address); err != nil {
			return err
		}
	}
	for _, f := range forms {
		if err := nft(f.rule); err != nil {
			return err
		}
		connections, refused, changes, err := measure(f, duration)
		if err != nil {
			return err
		}
		fmt.Printf("%-26s %6d changes, %6d connections, %d refused\n", f.name, changes, connections, refused)
	}
	return nil
}

// measure dials the Service while its rule is replaced.
func measure(f form, duration time.Duration) (connections, refused int64, changes int, err error) {
	var dialed, failed atomic.Int64
	var ended atomic.Bool
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for !ended.Load() {
				switch err := dial(); {
				case err == nil:
					dialed.Add(1)
				case errors.Is(err, syscall.ECONNREFUSED):
					failed.Add(1)
				default: // the machine is too busy
					fmt.Fprintln(os.Stderr, err)
				}
			}
		})
	}
	if f.change == "" {
		time.Sleep(duration)
	} else {
		changes, err = repeat(f.change, duration)
	}
	ended.Store(true)
	group.Wait()
	return dialed.Load() + failed.Load(), failed.Load(), changes, err
}

// repeat runs a transaction again and again for a time. One nft process runs them all, because its start takes longer than the transaction.
func repeat(commands string, duration time.Duration) (int, error) {
	cmd := exec.Command("nft", "--interactive")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	n := 0
	for end := time.Now().Add(duration); time.Now().Before(end) && err == nil; n++ {
		_, err = fmt.Fprintln(stdin, commands)
	}
	return n, errors.Join(err, stdin.Close(), cmd.Wait())
}

// dial connects to the Service and ends the connection by RST, which leaves no port in TIME_WAIT.
func dial() error {
	connection, err := net.DialTimeout("tcp", service, 5*time.Second)
	if err != nil {
		return err
	}
	tcp, _ := connection.(*net.TCPConn)
	return errors.Join(tcp.SetLinger(0), tcp.Close())
}

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_ = connection.Close()
		}
	}()
	return nil
}

// nft runs commands as one transaction.
func nft(commands string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(commands)
	return withOutput(cmd)
}

func output(name string, args ...string) error { return withOutput(exec.Command(name, args...)) }

func withOutput(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", cmd, err, out)
	}
	return nil
}
