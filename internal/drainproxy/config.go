package drainproxy

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/drain"
)

// Config has the settings of a proxy.
type Config struct {
	Ports []Port
	// Admin is the port of the hooks and the probes, Metrics that of the metrics.
	Admin, Metrics int
	// App is the host of the app's ports: the pod's address and not 127.0.0.1, because an app may grant more to clients on loopback. A rule that grants
	// more to the server's own address, such as Apache's Require local, still lets every client in: there is no third local address.
	App string
	// Token is the secret that a caller of the admin port must send in the header TokenHeader.
	Token string
	Times Times
	// Shutdown is t1, how long the requests in flight may take after the listeners are closed.
	Shutdown time.Duration
	// Accept is how long connections are accepted after t2 if they keep coming.
	Accept time.Duration
}

// Port is a port of the proxy and the app's port behind it.
type Port struct {
	Listen, Target int
	// HTTP2 means HTTP/2 without TLS, which the Service's port declares by appProtocol.
	HTTP2 bool
}

const (
	// tokenVariable and addressVariable are the names of variables in the container's environment.
	tokenVariable   = "DRAIN_PROXY_TOKEN"
	addressVariable = "POD_IP"

	defaultAdminPort   = 18081
	defaultMetricsPort = 18090
)

const (
	// acceptDuration is the default of Config.Accept, from which the operator derives t3.
	acceptDuration = 10 * time.Second
	// retireDuration is how long the proxy waits for requests on idle connections before it closes them.
	retireDuration = time.Second
)

// drainConfig returns the times of package drain. Its shutdown begins at t2, when the proxy begins to close, and not at SIGTERM.
func (c Config) drainConfig() drain.Config {
	request := retireDuration + c.Shutdown
	return drain.Config{PreStop: c.Times.PreStop, Shutdown: c.Accept + request, Request: request}
}

// ParseConfig reads the arguments of the program, and the environment: POD_IP and DRAIN_PROXY_TOKEN.
func ParseConfig(args []string, env func(string) string) (Config, error) {
	c := Config{App: env(addressVariable), Token: env(tokenVariable)}
	flags := flag.NewFlagSet("drain-proxy", flag.ContinueOnError)
	flags.Func("port", "LISTEN:TARGET or LISTEN:TARGET/h2c: a port and the app's port behind it; repeat it for further ports", func(text string) error {
		port, err := parsePort(text)
		c.Ports = append(c.Ports, port)
		return err
	})
	portFlag(flags, &c.Admin, "admin-port", "port of the hooks and the probes", defaultAdminPort)
	portFlag(flags, &c.Metrics, "metrics-port", "port of the metrics", defaultMetricsPort)
	for _, f := range []struct {
		name, usage string
		value       *time.Duration
		given       time.Duration
	}{
		{name: "request-seconds", usage: "R, the longest request", value: &c.Times.Request, given: 15 * time.Second},
		{name: "prestop-seconds", usage: "t2, how long proxies may need to learn of the pod's deletion", value: &c.Times.PreStop, given: 5 * time.Second},
		{name: "shutdown-seconds", usage: "t1, how long requests may take after the last one was accepted", value: &c.Shutdown, given: 20 * time.Second},
		{name: "exit-seconds", usage: "s, how long the app takes to exit when no request is in flight", value: &c.Times.Exit, given: 5 * time.Second},
		{name: "accept-seconds", usage: "how long connections are accepted after t2 if they keep coming", value: &c.Accept, given: acceptDuration},
	} {
		*f.value = f.given
		flags.Func(f.name, fmt.Sprintf("%s (default %.0f)", f.usage, f.given.Seconds()), func(text string) error {
			seconds, err := strconv.ParseUint(text, 10, 31)
			*f.value = time.Duration(seconds) * time.Second
			return err
		})
	}
	if err := parse(flags, args); err != nil {
		return c, err
	}
	return c, c.check()
}

func portFlag(flags *flag.FlagSet, port *int, name, usage string, given int) {
	*port = given
	flags.Func(name, fmt.Sprintf("%s (default %d)", usage, given), func(text string) (err error) {
		*port, err = parseNumber(text)
		return err
	})
}

// parse leaves errors to the caller, and prints the flags only if the user asks for help.
func parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
	}
	if err == nil && flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q: see --help", flags.Arg(0))
	}
	return err
}

func (c Config) check() error {
	var errs []error
	if len(c.Ports) == 0 {
		errs = append(errs, errors.New("no port to listen on: set --port LISTEN:TARGET"))
	}
	if net.ParseIP(c.App) == nil {
		errs = append(errs, fmt.Errorf("POD_IP=%q is not an IP address: set it from the field status.podIP", c.App))
	}
	if c.Token == "" {
		errs = append(errs, errors.New("DRAIN_PROXY_TOKEN is empty: without it, every client in the cluster could end the pod's service"))
	}
	return errors.Join(errs...)
}

func parsePort(text string) (Port, error) {
	numbers, protocol, hasProtocol := strings.Cut(text, "/")
	listen, target, ok := strings.Cut(numbers, ":")
	if !ok || hasProtocol && protocol != "h2c" {
		return Port{}, errors.New("want LISTEN:TARGET or LISTEN:TARGET/h2c")
	}
	p := Port{HTTP2: hasProtocol}
	var err error
	if p.Listen, err = parseNumber(listen); err != nil {
		return p, err
	}
	p.Target, err = parseNumber(target)
	return p, err
}

func parseNumber(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", text)
	}
	return int(n), nil
}
