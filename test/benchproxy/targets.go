package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// target is a server that the clients send to.
type target struct {
	name string
	url  string // without a path
	h2c  string // the URL for HTTP/2 without TLS, "" if the target does not forward it
	pid  int    // of the proxy, 0 without one
}

// start starts the backend and the proxies in front of it. end stops them; it must be called also after an error.
func (o options) start(ctx context.Context) (targets []target, end func(), err error) {
	folder, err := os.MkdirTemp("", "benchproxy-")
	s := &starter{folder: folder}
	if err != nil {
		return nil, s.end, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, s.end, err
	}
	backend := s.port()
	s.run(exec.CommandContext(ctx, self, "backend", address(backend)))
	targets = append(targets, target{name: "direct", url: url(backend), h2c: url(backend)})
	targets = append(targets, s.drainProxy(ctx, o.drainProxy, backend))
	if o.caddy != "" {
		targets = append(targets, s.caddy(ctx, o.caddy, backend))
	}
	if o.nginx != "" {
		targets = append(targets, s.nginx(ctx, o.nginx, backend))
	}
	if s.err != nil {
		return nil, s.end, s.err
	}
	return targets, s.end, s.awaitAll(ctx, targets)
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func url(port int) string { return "http://" + address(port) }

// starter starts programs, and keeps the first error.
type starter struct {
	folder string
	cmds   []*exec.Cmd
	err    error
}

// port returns a free port.
func (s *starter) port() int {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not block
	if err != nil {
		s.err = errors.Join(s.err, err)
		return 0
	}
	defer func() { _ = l.Close() }()
	a, _ := l.Addr().(*net.TCPAddr)
	return a.Port
}

func (s *starter) run(cmd *exec.Cmd) int {
	if s.err != nil {
		return 0
	}
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		s.err = fmt.Errorf("starting %s: %w", cmd.Path, err)
		return 0
	}
	s.cmds = append(s.cmds, cmd)
	return cmd.Process.Pid
}

// end stops the proxies before the backend.
func (s *starter) end() {
	for i := len(s.cmds) - 1; i >= 0; i-- {
		_ = s.cmds[i].Process.Signal(syscall.SIGTERM)
		_ = s.cmds[i].Wait()
	}
	_ = os.RemoveAll(s.folder)
}

func (s *starter) file(name, text string) string {
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.err = errors.Join(s.err, err)
	}
	return path
}

func (s *starter) drainProxy(ctx context.Context, program string, backend int) target {
	http1, http2 := s.port(), s.port()
	cmd := exec.CommandContext(ctx, program, fmt.Sprintf("--port=%d:%d", http1, backend), fmt.Sprintf("--port=%d:%d/h2c", http2, backend),
		fmt.Sprintf("--admin-port=%d", s.port()), fmt.Sprintf("--metrics-port=%d", s.port()))
	cmd.Env = append(os.Environ(), "POD_IP=127.0.0.1", "DRAIN_PROXY_TOKEN=bench")
	return target{name: "drain-proxy", url: url(http1), h2c: url(http2), pid: s.run(cmd)}
}

const caddyConfig = `{"admin": {"disabled": true}, "logging": {"logs": {"default": {"level": "ERROR"}}}, "apps": {"http": {"servers": {
  "http1": {"listen": [%q], "protocols": ["h1"], "automatic_https": {"disable": true},
    "routes": [{"handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": %q}]}]}]},
  "http2": {"listen": [%q], "protocols": ["h1", "h2c"], "automatic_https": {"disable": true},
    "routes": [{"handle": [{"handler": "reverse_proxy", "transport": {"protocol": "http", "versions": ["h2c", "2"]}, "upstreams": [{"dial": %q}]}]}]}
}}}}`

func (s *starter) caddy(ctx context.Context, program string, backend int) target {
	http1, http2 := s.port(), s.port()
	config := s.file("caddy.json", fmt.Sprintf(caddyConfig, address(http1), address(backend), address(http2), address(backend)))
	cmd := exec.CommandContext(ctx, program, "run", "--config", config)
	cmd.Env = append(os.Environ(), "HOME="+s.folder, "XDG_DATA_HOME="+s.folder, "XDG_CONFIG_HOME="+s.folder)
	return target{name: "Caddy 2.11.9", url: url(http1), h2c: url(http2), pid: s.run(cmd)}
}

const nginxConfig = `daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr error; worker_rlimit_nofile 65536;
events { worker_connections 32768; }
http {
  access_log off; keepalive_requests 1000000000; proxy_temp_path %[1]s/proxy; client_body_temp_path %[1]s/body;
  fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  upstream app { server %[3]s; keepalive 256; keepalive_requests 1000000000; }
  server { listen %[2]s; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}`

// nginx starts the program with the libraries of its image. It has one process, so that its CPU time is that of the process.
func (s *starter) nginx(ctx context.Context, root string, backend int) target {
	port := s.port()
	config := s.file("nginx.conf", fmt.Sprintf(nginxConfig, s.folder, address(port), address(backend)))
	libraries := filepath.Join(root, "lib/x86_64-linux-gnu") + ":" + filepath.Join(root, "usr/lib/x86_64-linux-gnu")
	cmd := exec.CommandContext(ctx, filepath.Join(root, "lib64/ld-linux-x86-64.so.2"), "--library-path", libraries,
		filepath.Join(root, "usr/sbin/nginx"), "-p", s.folder, "-c", config)
	return target{name: "nginx, one process", url: url(port), pid: s.run(cmd)}
}

// awaitAll waits until every target answers.
func (s *starter) awaitAll(ctx context.Context, targets []target) error {
	for _, t := range targets {
		err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+"/small", nil)
			if err != nil {
				return false, err
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return false, nil //nolint:nilerr // not yet
			}
			_ = response.Body.Close()
			return response.StatusCode == http.StatusOK, nil
		})
		if err != nil {
			return fmt.Errorf("%s does not answer: %w", t.name, err)
		}
	}
	return nil
}
