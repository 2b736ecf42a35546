import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.core.StandardService;
import org.apache.catalina.startup.Tomcat;

/**
 * An embedded Tomcat that loses no request when its pod goes: what a drain contract takes. With the argument "plain" it is what Spring
 * Boot makes of Tomcat since 3.4, where server.shutdown=graceful became the default.
 */
public class Server extends HttpServlet {
    static final int SHUTDOWN = seconds("GRACEFUL_SHUTDOWN_SEC", 10); // t1
    static final int PRE_STOP = seconds("GRACEFUL_PRESTOP_SEC", 5); // t2
    static final int GRACE = seconds("GRACEFUL_TERMINATION_SEC", 30); // t3
    static final int ADMIN_PORT = 8081; // of /drain; the Service does not target it

    final AtomicInteger inFlight = new AtomicInteger();
    volatile long drainsUntil = System.nanoTime();

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        inFlight.incrementAndGet();
        try {
            switch (request.getRequestURI()) {
                case "/readyz", "/livez" -> { }
                case "/drain" -> {
                    if (request.getLocalPort() == ADMIN_PORT) {
                        drainsUntil = System.nanoTime() + TimeUnit.SECONDS.toNanos(GRACE); // no SIGTERM by then: another client has called
                        sleep(PRE_STOP * 1000L); // SIGTERM comes as soon as this returns
                    }
                }
                default -> {
                    String seconds = request.getParameter("seconds");
                    sleep(seconds == null ? 0 : (long) (Double.parseDouble(seconds) * 1000));
                }
            }
            if (System.nanoTime() - drainsUntil < 0) { // the client opens its next connection to another pod
                response.setHeader("Connection", "close");
            }
            response.setContentType("text/plain");
            response.getOutputStream().print("hello\n");
        } finally {
            inFlight.decrementAndGet();
        }
    }

    public static void main(String[] args) throws LifecycleException {
        boolean plain = args.length > 0 && args[0].equals("plain");
        Server server = new Server();
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir("/tmp/tomcat");
        tomcat.setPort(8080);
        tomcat.getConnector().setProperty("bindOnInit", "false"); // as Spring has it: only such a connector is closed gracefully
        Tomcat.addServlet(tomcat.addContext("", null), "server", server).addMapping("/");
        if (!plain) {
            // Longer than clients keep a connection idle: whoever closes first should be the client. Tomcat's defaults are 60 s and 100.
            tomcat.getConnector().setProperty("keepAliveTimeout", "120000");
            tomcat.getConnector().setProperty("maxKeepAliveRequests", "-1");
            Connector admin = new Connector();
            admin.setPort(ADMIN_PORT);
            admin.setProperty("bindOnInit", "false");
            tomcat.getService().addConnector(admin);
        }
        // The JVM runs its shutdown hooks on SIGTERM and ends with the last of them, whatever is in flight.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            if (plain) {
                server.stopAsSpring(tomcat);
            } else {
                stop(tomcat);
            }
        }));
        tomcat.start();
        tomcat.getServer().await();
    }

    /** Refuses new connections, answers on those that there are, each time with Connection: close, and ends with the last one or with t1. */
    static void stop(Tomcat tomcat) {
        ((StandardService) tomcat.getService()).setGracefulStopAwaitMillis(SHUTDOWN * 1000L);
        destroy(tomcat);
    }

    /** Does as Spring Boot's GracefulShutdown, for up to its 30 s: what comes on connections that are kept is dropped without an answer. */
    void stopAsSpring(Tomcat tomcat) {
        Connector connector = tomcat.getConnector();
        connector.pause();
        connector.getProtocolHandler().closeServerSocketGraceful();
        for (int i = 0; i < 30 * 20 && inFlight.get() > 0; i++) {
            sleep(50);
        }
        destroy(tomcat);
    }

    static void destroy(Tomcat tomcat) {
        try {
            tomcat.stop();
        } catch (LifecycleException e) {
            e.printStackTrace();
        }
    }

    static void sleep(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    static int seconds(String name, int otherwise) {
        String value = System.getenv(name);
        return value == null ? otherwise : Integer.parseInt(value);
    }
}
