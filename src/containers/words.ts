/** For names of containers that nobody named. Both lists are our own. */
export const ADJECTIVES: readonly string[] =
  `able agile amber ample apt arctic ardent astute autumn avid azure balmy bold brave breezy brief bright brisk calm candid
careful cheery civil clear clever coral cordial cosmic cosy crisp curious daring dapper deft dewy diligent dreamy eager earnest
easy elated elegant epic exact fair fancy fearless festive fine fleet fluent fond frank fresh friendly frosty gallant gentle
gifted glad golden graceful grand happy hardy helpful honest hopeful humble ideal jolly jovial joyful keen kind lively loyal
lucid lucky lunar mellow merry mighty mild modest neat nimble noble novel open patient peaceful placid playful polite
precise prime proud prudent quaint quick quiet radiant rapid ready regal rosy rustic sage savvy serene sharp shining
silent silver sincere sleek smart smooth snowy solar solid spirited spry stable steady stellar sturdy sunny swift tactful
tender thrifty tidy tranquil trusty upbeat valiant vast velvet vivid warm wise witty zealous zesty`.split(/\s+/);

export const SURNAMES: readonly string[] =
  `abel archimedes babbage backus banneker bardeen bartik bell bernoulli bohr boole born bose bragg cantor carson cauchy
cerf chandrasekhar church clarke codd copernicus coulomb crick curie dalton darwin davy dijkstra dirac dyson edison einstein
engelbart erdos euclid euler faraday fermat fermi feynman fibonacci fourier franklin galileo galois gauss germain gibbs godel
goodall haber hahn halley hamilton hamming heisenberg helmholtz hertz hilbert hodgkin hopper hubble hypatia jacobi jacquard
joule kepler kernighan khorana kirchhoff knuth kovalevskaya lagrange lamarr lamport laplace lavoisier leavitt leibniz liskov
lovelace maxwell mccarthy meitner mendel mendeleev minsky mirzakhani moore morse napier nash neumann newton nobel noether ohm
oppenheimer pascal pasteur pauli perlman planck poincare ptolemy pythagoras ramanujan rayleigh riemann ritchie rutherford sagan
salk schrodinger shannon sinoussi snow tesla thales thompson torvalds turing volta wallace watt weyl wiles wilson wozniak wu
yalow yonath zuse`.split(/\s+/);
