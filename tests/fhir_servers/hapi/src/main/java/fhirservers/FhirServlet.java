package fhirservers;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.HardcodedServerAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import org.springframework.context.ApplicationContext;

/** HAPI's REST server over the JPA resource providers. */
public class FhirServlet extends RestfulServer {
    private static final long serialVersionUID = 1L;

    private final transient ApplicationContext spring;
    private final String base;

    FhirServlet(ApplicationContext spring, String base) {
        super(spring.getBean(FhirContext.class));
        this.spring = spring;
        this.base = base;
    }

    @Override
    protected void initialize() {
        setServerAddressStrategy(new HardcodedServerAddressStrategy(base));
        setDefaultResponseEncoding(EncodingEnum.JSON);
        setPagingProvider(paging());
        registerProviders(spring.getBean("myResourceProvidersR4", ResourceProviderFactory.class).createProviders());
        registerProvider(spring.getBean(JpaSystemProvider.class));
        setServerConformanceProvider(new JpaCapabilityStatementProvider(
                this,
                spring.getBean(IFhirSystemDao.class),
                spring.getBean(JpaStorageSettings.class),
                spring.getBean(ISearchParamRegistry.class),
                spring.getBean(IValidationSupport.class)));
    }

    /** The page sizes of HAPI's public sandbox. */
    private DatabaseBackedPagingProvider paging() {
        DatabaseBackedPagingProvider paging = spring.getBean(DatabaseBackedPagingProvider.class);
        paging.setDefaultPageSize(20);
        paging.setMaximumPageSize(500);
        return paging;
    }
}
