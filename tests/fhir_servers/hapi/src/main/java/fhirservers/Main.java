package fhirservers;

import jakarta.servlet.DispatcherType;
import java.io.IOException;
import java.util.EnumSet;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/**
 * HAPI FHIR R4 JPA on loopback. Arguments: port (0 is any), delay in ms, token (none: everybody is let in). Prints one
 * line of JSON when it is ready: {"baseUrl": …, "port": …}. With -DuntilStdinCloses=true it ends with whoever started it.
 */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        if (Boolean.getBoolean("untilStdinCloses")) endWithStandardInput();
        Gate gate = new Gate(arguments.length > 2 ? arguments[2] : null, Long.parseLong(arguments[1]));
        AnnotationConfigApplicationContext spring = new AnnotationConfigApplicationContext(JpaServer.class);
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.parseInt(arguments[0]));
        server.addConnector(connector);
        // Opened first: the base URL that links are made of has the port in it.
        connector.open();
        String base = "http://127.0.0.1:" + connector.getLocalPort() + "/fhir";
        server.setHandler(handler(gate, new FhirServlet(spring, base)));
        server.start();
        System.out.println("{\"baseUrl\": \"" + base + "\", \"port\": " + connector.getLocalPort() + "}");
        server.join();
    }

    private static void endWithStandardInput() {
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (IOException closed) {
                // Closed is what is waited for.
            }
            System.exit(0);
        });
        watch.setDaemon(true);
        watch.start();
    }

    private static ServletContextHandler handler(Gate gate, FhirServlet fhir) {
        ServletContextHandler handler = new ServletContextHandler();
        ServletHolder holder = new ServletHolder(fhir);
        holder.setInitOrder(0);
        handler.addFilter(new FilterHolder(gate), "/*", EnumSet.of(DispatcherType.REQUEST));
        handler.addServlet(holder, "/fhir/*");
        return handler;
    }
}
