/* The floor: what MPI alone allows. A coordinator that hands out trial numbers one by
 * one, and takes back a result of 64 bytes for each; nothing is run, nothing is kept.
 *
 *     mpiexec -n 3 floor TRIALS
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#define RESULT_BYTES 64

static double coordinate(long trials, int workers) {
  char result[RESULT_BYTES];
  long next = 0, none = -1;
  double start = MPI_Wtime();
  /* A worker's first message has no result; its last answer has no trial. */
  while (workers > 0) {
    MPI_Status status;
    MPI_Recv(result, RESULT_BYTES, MPI_CHAR, MPI_ANY_SOURCE, 0, MPI_COMM_WORLD, &status);
    long *answer = next < trials ? &next : &none;
    MPI_Send(answer, 1, MPI_LONG, status.MPI_SOURCE, 0, MPI_COMM_WORLD);
    if (answer == &next) next++;
    else workers--;
  }
  return MPI_Wtime() - start;
}

static void work(void) {
  char result[RESULT_BYTES] = {0};
  long trial;
  do {
    MPI_Send(result, RESULT_BYTES, MPI_CHAR, 0, 0, MPI_COMM_WORLD);
    MPI_Recv(&trial, 1, MPI_LONG, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  } while (trial >= 0);
}

int main(int argc, char **argv) {
  int rank, size;
  long trials = argc > 1 ? atol(argv[1]) : 1000000;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Barrier(MPI_COMM_WORLD);
  if (rank == 0)
    printf("{\"trials\": %ld, \"seconds\": %f}\n", trials, coordinate(trials, size - 1));
  else
    work();
  MPI_Finalize();
  return 0;
}
