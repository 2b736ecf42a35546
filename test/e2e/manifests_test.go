//go:build e2e

package e2e

import "fmt"

// hello returns an app with short times, so that tests are fast: it starts in 2 s, and a request takes up to 1 s.
func hello(timing string) string {
	return fmt.Sprintf(`
apiVersion: apps.gracefulapp.dev/v1alpha1
kind: GracefulApp
metadata: {name: hello}
spec:
  replicas: 2
  timing: {%s}
  template:
    spec:
      containers:
      - name: hello
        image: %s
        env: [{name: STARTUP_SEC, value: "2"}, {name: REQUEST_SEC, value: "1"}, {name: ADMIN_PORT, value: "8081"}]
        ports: [{name: http, containerPort: 8080}, {name: admin, containerPort: 8081}]
        readinessProbe: {httpGet: {path: /readyz, port: http}}
        livenessProbe: {httpGet: {path: /livez, port: http}}
        lifecycle: {preStop: {httpGet: {path: /drain, port: admin}}}
`, timing, image("hello"))
}

const (
	shortTiming = "startupSeconds: 5, requestSeconds: 1"
	equalTiming = "startupSeconds: 25, requestSeconds: 5, shutdownSeconds: 20, preStopSeconds: 5, terminationGracePeriodSeconds: 25"
	justEnough  = "startupSeconds: 25, requestSeconds: 5, shutdownSeconds: 20, preStopSeconds: 5, terminationGracePeriodSeconds: 26"
	equalPatch  = `{"spec":{"timing":{"shutdownSeconds":20,"preStopSeconds":5,"terminationGracePeriodSeconds":25}}}`
	arithmetic  = "terminationGracePeriodSeconds 25 is not more than shutdownSeconds 20 + preStopSeconds 5 = 25"
	autoscaler  = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: hello}
spec:
  scaleTargetRef: {apiVersion: apps.gracefulapp.dev/v1alpha1, kind: GracefulApp, name: hello}
  minReplicas: 1
  maxReplicas: 5
`
)
